//! What a person or a script reads: plots, tables and JSON.

pub mod heat_map;
pub mod json;
pub mod plot;
pub mod table;
