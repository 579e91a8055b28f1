//! A set of kernels and an arena of fixed size: what runs a model.

use tinyhero_common::error::RunError;
use tinyhero_common::kernels::Kernels;
use tinyhero_common::model::{LoadError, Model, Reason, file_bytes};
use tinyhero_common::network::{self, Observer, Output};

/// Why a model cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// There is no model: the region is blank or empty.
    Blank,
    /// The model file is refused.
    Load(LoadError),
    /// The model's plan exceeds the arena.
    Arena {
        /// Bytes that it needs.
        needed: u32,
    },
}

impl From<LoadError> for Error {
    fn from(error: LoadError) -> Self {
        Self::Load(error)
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Blank => formatter.write_str("there is no model"),
            Self::Load(error) => write!(formatter, "the model is refused: {error}"),
            Self::Arena { needed } => {
                write!(formatter, "the model needs an arena of {needed} bytes")
            }
        }
    }
}

impl core::error::Error for Error {}

/// Working memory; fast kernels load words and lanes from it.
#[repr(C, align(16))]
struct Arena<const BYTES: usize>([i8; BYTES]);

/// Runs models whose plan fits `ARENA` bytes, with the kernels `K`. Made to be a static: it holds
/// the arena.
pub struct Engine<K, const ARENA: usize> {
    kernels: K,
    arena: Arena<ARENA>,
}

impl<K: Kernels, const ARENA: usize> Engine<K, ARENA> {
    /// An engine with an empty arena.
    pub const fn new(kernels: K) -> Self {
        Self { kernels, arena: Arena([0; ARENA]) }
    }

    /// Capacity of the arena in bytes.
    pub const fn arena_bytes(&self) -> u32 {
        ARENA as u32
    }

    /// Zeros the arena, so that nothing is left in it of the models that ran before.
    pub fn clear_arena(&mut self) {
        self.arena.0.fill(0);
    }

    /// Validates the model file at the start of `region` and borrows it in place.
    ///
    /// # Errors
    /// [`Error::Blank`]; [`Error::Load`] if the region does not begin at a multiple of 4 in memory,
    /// the file is damaged or the kernels leave out one of its operators; [`Error::Arena`].
    pub fn load<'e, 'm>(&'e mut self, region: &'m [u8]) -> Result<LoadedModel<'e, 'm, K>, Error> {
        let model = Model::load_for::<K>(file_in(region)?)?;
        self.with_room_for(model)
    }

    /// The same for a model that is part of the application and came from the exporter, which has
    /// validated it: header, checksum and operators are looked at, the rest is taken on trust.
    /// Saves 4.5 kB of flash where nothing else loads models.
    ///
    /// [`Model::load_trusted`] says what a file may do that the exporter did not write.
    ///
    /// # Errors
    /// As for [`Engine::load`], but for what only validation finds.
    pub fn load_trusted<'e, 'm>(
        &'e mut self,
        region: &'m [u8],
    ) -> Result<LoadedModel<'e, 'm, K>, Error> {
        let model = Model::load_trusted(file_in(region)?)?;
        if let Some(layer) = model.first_not_computed::<K>() {
            return Err(LoadError { reason: Reason::Operator, layer: Some(layer) }.into());
        }
        self.with_room_for(model)
    }

    fn with_room_for<'e, 'm>(
        &'e mut self,
        model: Model<'m>,
    ) -> Result<LoadedModel<'e, 'm, K>, Error> {
        let needed = model.description().arena_bytes;
        if needed > self.arena_bytes() {
            return Err(Error::Arena { needed });
        }
        Ok(LoadedModel { kernels: &mut self.kernels, arena: &mut self.arena.0, model })
    }
}

/// Where kernels read words in place: everything in a file begins at a multiple of this, if the
/// file does.
const FILE_ALIGNMENT: usize = 4;

/// The model file at the start of a region of flash.
fn file_in(region: &[u8]) -> Result<&[u8], Error> {
    let blank = |value| region.iter().take(4).all(|&byte| byte == value);
    if blank(0x00) || blank(0xFF) {
        return Err(Error::Blank);
    }
    // Fast kernels would leave every layer to the portable ones, which take ten times as long, and
    // some sets have none to leave it to.
    if !region.as_ptr().addr().is_multiple_of(FILE_ALIGNMENT) {
        return Err(LoadError { reason: Reason::Alignment, layer: None }.into());
    }
    region.get(..file_bytes(region)?).ok_or(Error::Blank)
}

/// A model with the memory to run it in.
pub struct LoadedModel<'e, 'm, K> {
    kernels: &'e mut K,
    arena: &'e mut [i8],
    model: Model<'m>,
}

impl<'m, K: Kernels> LoadedModel<'_, 'm, K> {
    /// The model.
    pub const fn model(&self) -> &Model<'m> {
        &self.model
    }

    /// Runs the model on one raw input.
    ///
    /// # Errors
    /// The input has the wrong length. Nothing else can fail.
    pub fn run(
        &mut self,
        raw_input: &[u8],
        observer: &mut impl Observer,
    ) -> Result<Output<'_>, RunError> {
        network::run(&self.model, self.kernels, observer, raw_input, self.arena)
    }

    /// Runs the model's own check; `room` must hold one raw input.
    ///
    /// # Errors
    /// `room` is too short.
    pub fn self_test(&mut self, room: &mut [u8]) -> Result<bool, RunError> {
        network::self_test(&self.model, self.kernels, room, self.arena)
    }
}
