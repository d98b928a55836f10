//! Decides how a request is answered, before anything is read. Pure.

pub mod bucket_grid;
pub mod query_plan;
