//! What a failed case reports: six words on a board, the whole call on the host.

use core::fmt;

use crate::case::Workspace;
use crate::samples;
use crate::scalar;

/// The subjects, each said once. The number of a subject is part of the seed of its cases, so operators are added behind the others.
macro_rules! subjects {
    (
        first { $($(#[$attribute:meta])* $first:ident,)* }
        operators { $($(#[$of_operator:meta])* $operator:ident,)* }
        last { $($(#[$of_last:meta])* $last:ident,)* }
    ) => {
        /// What was under test.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Subject {
            $($(#[$attribute])* $first,)*
            $($(#[$of_operator])* $operator,)*
            $($(#[$of_last])* $last,)*
        }

        impl Subject {
            /// Every subject, in the order of its number on the wire.
            pub const ALL: [Self; [$(Self::$first,)* $(Self::$operator,)* $(Self::$last,)*].len()] =
                [$(Self::$first,)* $(Self::$operator,)* $(Self::$last,)*];

            /// The subjects of [`operator_cases`](crate::operator_cases).
            pub const OPERATORS: [Self; [$(Self::$operator,)*].len()] = [$(Self::$operator,)*];
        }
    };
}

subjects! {
    first {
        /// Equation (2) over its exhaustive edges.
        RequantizeEdges,
        /// Equation (2), random.
        Requantize,
        /// Packing and unpacking of a row of weights.
        Packing,
        /// Equation (1).
        InputMap,
        /// Argmax of equation (10).
        Argmax,
    }
    operators {
        /// Equation (3).
        Convolution2d,
        /// Equation (4).
        DepthwiseConvolution2d,
        /// Equation (5).
        FullyConnected,
        /// Equation (6).
        AveragePool2d,
        /// Equation (7).
        MaxPool2d,
        /// Equation (8).
        Add,
        /// Equation (8) with the output in the place of the first operand.
        AddInPlace,
        /// Equation (9).
        Softmax,
        /// Equation (11).
        Table,
        /// Equation (11) with the output in the place of the input.
        TableInPlace,
        /// Equation (12).
        MeanPool2d,
        /// Equation (13).
        Multiply,
        /// Equation (13) with the output in the place of the first operand.
        MultiplyInPlace,
        /// Equation (14).
        Concatenate,
        /// Equation (15).
        Resize2d,
        /// Equation (16).
        TransposedConvolution2d,
        /// Equation (17).
        GroupedConvolution2d,
        /// Equation (19).
        Lstm,
        /// Equation (20).
        Gru,
    }
    last {
        /// Equation (1) over a whole raw input.
        Samples,
    }
}

/// A result that is not the defined one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// What was under test.
    pub subject: Subject,
    /// The seed of the cases.
    pub seed: u32,
    /// The case's number.
    pub case: u32,
    /// Which element of the result; [`Mismatch::GUARD`] if a byte outside of it was written.
    pub element: u32,
    /// What the definition gives.
    pub expected: i32,
    /// What came out.
    pub got: i32,
}

impl Mismatch {
    /// The `element` of a write outside the output or the scratch bytes.
    pub const GUARD: u32 = u32::MAX;

    /// As numbers, for a link that knows no more.
    pub const fn to_words(self) -> [u32; 6] {
        [
            self.subject as u32,
            self.seed,
            self.case,
            self.element,
            self.expected as u32,
            self.got as u32,
        ]
    }

    /// Back from [`Mismatch::to_words`]; `None` if the first word is no subject.
    pub fn from_words(words: [u32; 6]) -> Option<Self> {
        let [subject, seed, case, element, expected, got] = words;
        let subject = *Subject::ALL.get(usize::try_from(subject).ok()?)?;
        let [expected, got] = [expected.cast_signed(), got.cast_signed()];
        Some(Self { subject, seed, case, element, expected, got })
    }

    /// Prints what is wrong, up to the call that did it.
    pub(crate) fn print_fault(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { element, expected, got, .. } = *self;
        if element == Self::GUARD {
            write!(formatter, "a byte outside the output was written, {expected} became {got}, by ")
        } else {
            write!(formatter, "element {element} is {got}, defined {expected}, in ")
        }
    }
}

/// Prints the failing call: the case is made again from the seed and its number. For the host; boards send the words.
impl fmt::Display for Mismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, seed, case, .. } = *self;
        write!(formatter, "{subject:?}, seed {seed}, case {case}: ")?;
        self.print_fault(formatter)?;
        match subject {
            Subject::RequantizeEdges => write!(formatter, "{:?}", scalar::edge(case)),
            Subject::Requantize => {
                write!(formatter, "{:?}", scalar::RequantizeCase::new(seed, case))
            }
            Subject::Packing => write!(formatter, "{:?}", scalar::PackingCase::new(seed, case)),
            Subject::InputMap => write!(formatter, "{:?}", scalar::InputCase::new(seed, case)),
            Subject::Samples => {
                write!(formatter, "{:?}", samples::SamplesCase::new(seed, case))
            }
            Subject::Argmax => write!(formatter, "{:?}", scalar::ArgmaxCase::new(seed, case)),
            operator => {
                let mut workspace = Workspace::new();
                let case = workspace.prepare(operator, seed, case);
                workspace.memory().print(&case, formatter)
            }
        }
    }
}

impl core::error::Error for Mismatch {}
