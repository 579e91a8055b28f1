//! What has to be erased and written so that a chip's flash holds what it should: decided for whole
//! sectors, since nothing smaller can be erased. Whatever else lies in a sector that is erased is
//! written again as it was.

use std::ops::Range;

use super::Part;
use crate::error::Result;

/// What is erased at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sector {
    /// Its first address.
    pub address: u32,
    /// Its length.
    pub bytes: u32,
    /// Bytes that are programmed at once; the sector begins with a page.
    pub page_bytes: u32,
    /// What an erased byte reads as.
    pub erased: u8,
}

impl Sector {
    /// One past the last address; 64 bits, since a sector may end where addresses do.
    pub fn end(self) -> u64 {
        u64::from(self.address) + u64::from(self.bytes)
    }

    /// The bytes of this sector that `part` is in, and those of the part that are in this sector.
    fn shared_with(self, part: &Part) -> Option<(Range<usize>, Range<usize>)> {
        let start = u64::from(self.address.max(part.address));
        let end = self.end().min(part.end());
        let within = |base: u32| {
            let base = u64::from(base);
            (start - base) as usize..(end - base) as usize
        };
        (start < end).then(|| (within(self.address), within(part.address)))
    }
}

/// Why parts cannot be planned for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// There is no flash at this address.
    NoFlash(u32),
    /// Two parts have this address.
    Overlap(u32),
}

/// A sector that is erased and written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// Which one.
    pub sector: Sector,
    /// What is in all of it afterwards.
    pub content: Vec<u8>,
    /// The places in it that parts have; the rest is kept.
    pub wanted: Vec<Range<usize>>,
    /// Bytes that are kept and hold something.
    pub kept: u64,
    /// Bytes that could not be read and are not wanted either, which are left erased.
    pub lost: u64,
    /// Whether a part that goes last is in it.
    seals: bool,
}

impl Rewrite {
    /// Bytes of it that parts have.
    pub fn wanted_bytes(&self) -> u64 {
        self.wanted.iter().map(|place| place.len() as u64).sum()
    }

    /// The pages to be programmed, with their addresses: those of parts, and those that hold
    /// something else.
    pub fn pages(&self) -> impl Iterator<Item = (u32, &[u8])> {
        let page_bytes = self.sector.page_bytes as usize;
        let pages = self.content.chunks(page_bytes).enumerate();
        pages.filter_map(move |(index, page)| {
            let start = index * page_bytes;
            let has_part =
                self.wanted.iter().any(|p| p.start < start + page.len() && start < p.end);
            let holds_something = page.iter().any(|byte| *byte != self.sector.erased);
            (has_part || holds_something).then(|| (self.sector.address + start as u32, page))
        })
    }
}

/// Refuses parts that overlap one another or lie, wholly or partly, in none of `sectors`, which are
/// in the order of their addresses.
///
/// # Errors
/// The first address at fault.
pub fn check(parts: &[Part], sectors: &[Sector]) -> std::result::Result<(), Problem> {
    let mut ordered: Vec<&Part> = parts.iter().filter(|part| !part.bytes.is_empty()).collect();
    ordered.sort_by_key(|part| part.address);
    for pair in ordered.windows(2) {
        if u64::from(pair[1].address) < pair[0].end() {
            return Err(Problem::Overlap(pair[1].address));
        }
    }
    for part in ordered {
        let mut place = u64::from(part.address);
        for sector in sectors {
            if u64::from(sector.address) <= place && place < sector.end() {
                place = sector.end();
            }
        }
        if place < part.end() {
            return Err(Problem::NoFlash(place as u32));
        }
    }
    Ok(())
}

/// Fills in what is at an address now, and says which places of it cannot be read.
type Read<'a> = dyn FnMut(u32, &mut [u8]) -> Result<Vec<Range<usize>>> + 'a;

/// The sectors that have to be erased and written for all `parts` to be there: those in which a
/// byte of a part differs or cannot be read. `read` fills in what is there now and says which
/// places cannot be read. The parts have passed [`check`] with these sectors.
///
/// # Errors
/// What `read` refuses.
pub fn plan(parts: &[Part], sectors: &[Sector], read: &mut Read<'_>) -> Result<Vec<Rewrite>> {
    let mut rewrites = Vec::new();
    for &sector in sectors {
        let shared: Vec<_> = parts
            .iter()
            .filter_map(|part| sector.shared_with(part).map(|(to, from)| (part, to, from)))
            .collect();
        let mut differs = false;
        for (part, to, from) in &shared {
            let wanted = &part.bytes[from.clone()];
            let mut stored = vec![0; wanted.len()];
            let unreadable = read(sector.address + to.start as u32, &mut stored)?;
            if !unreadable.is_empty() || stored != wanted {
                differs = true;
                break;
            }
        }
        if differs {
            rewrites.push(rewrite(sector, &shared, read)?);
        }
    }
    Ok(rewrites)
}

fn rewrite(
    sector: Sector,
    shared: &[(&Part, Range<usize>, Range<usize>)],
    read: &mut Read<'_>,
) -> Result<Rewrite> {
    let mut content = vec![sector.erased; sector.bytes as usize];
    let unreadable = read(sector.address, &mut content)?;
    let mut is_kept = vec![true; content.len()];
    let mut is_lost = vec![false; content.len()];
    for place in unreadable {
        content[place.clone()].fill(sector.erased);
        is_lost[place].fill(true);
    }
    for (part, to, from) in shared {
        content[to.clone()].copy_from_slice(&part.bytes[from.clone()]);
        is_kept[to.clone()].fill(false);
    }
    let count = |counts: &dyn Fn(usize) -> bool| {
        (0..content.len()).filter(|&place| is_kept[place] && counts(place)).count() as u64
    };
    Ok(Rewrite {
        sector,
        kept: count(&|place| content[place] != sector.erased),
        lost: count(&|place| is_lost[place]),
        wanted: shared.iter().map(|(_, to, _)| to.clone()).collect(),
        seals: shared.iter().any(|(part, ..)| part.seals),
        content,
    })
}

/// What is written at once and in which order. A sector with something that is kept is on its own,
/// so that a cut loses no more than what one sector kept; whatever seals the rest comes last.
pub fn batches(rewrites: &[Rewrite]) -> Vec<Vec<&Rewrite>> {
    let (seals, others): (Vec<&Rewrite>, Vec<&Rewrite>) =
        rewrites.iter().partition(|rewrite| rewrite.seals);
    let mut batches = Vec::new();
    for group in [others, seals] {
        let (keeping, plain): (Vec<&Rewrite>, Vec<&Rewrite>) =
            group.into_iter().partition(|rewrite| rewrite.kept > 0);
        batches.extend(keeping.into_iter().map(|rewrite| vec![rewrite]));
        batches.push(plain);
    }
    batches.retain(|batch| !batch.is_empty());
    batches
}

#[cfg(test)]
mod tests;
