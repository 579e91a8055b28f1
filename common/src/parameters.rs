//! Where things are in the parameters.

/// `bytes` bytes of the parameters from `offset` on; `None` if they are not all there, which loading refuses.
pub(crate) fn section(parameters: &[u8], offset: u32, bytes: usize) -> Option<&[u8]> {
    let start = offset as usize;
    parameters.get(start..start.saturating_add(bytes))
}
