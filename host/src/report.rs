//! What a person or a script reads: plots, tables and JSON.

pub mod confusion;
pub mod heat_map;
pub mod histogram;
pub mod json;
pub mod plot;
pub mod points;
pub mod table;
