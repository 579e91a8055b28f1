//! Ctrl-C: the first asks for a checkpoint, the second does not wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// A flag that Ctrl-C sets.
///
/// # Errors
/// The system refuses the handler.
pub fn flag() -> Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })
    .map_err(|reason| Error::check_failed("Ctrl-C", reason, "please report this"))?;
    Ok(interrupted)
}
