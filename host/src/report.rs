//! What a person or a script reads: plots, tables and JSON.

pub mod json;
pub mod plot;
pub mod table;
