//! Errors of running a network that has loaded.

/// Why a run did not start. A run that has started cannot fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunError {
    /// The raw input has not as many bytes as the model's input needs.
    InputLength,
    /// The arena is smaller than the model's plan.
    ArenaTooSmall,
}

impl core::fmt::Display for RunError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            Self::InputLength => {
                "the raw input does not have the length that the model's input needs"
            }
            Self::ArenaTooSmall => "the arena is smaller than the model needs",
        })
    }
}

impl core::error::Error for RunError {}
