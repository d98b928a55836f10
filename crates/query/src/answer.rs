//! Encodes what was read as the messages of the contract. Pure.

pub mod asset_page;
pub mod event;
pub mod series;
