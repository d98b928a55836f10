//! Decides how a question is answered, before anything is read. Pure.

pub mod bucket_grid;
