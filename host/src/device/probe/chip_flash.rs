//! The flash of a chip as probe-rs describes it: which sectors there are, and which of its
//! algorithms writes them.

use std::collections::BTreeMap;
use std::ops::Range;

use probe_rs::Target;
use probe_rs::config::{MemoryRegion, NvmRegion, RawFlashAlgorithm};

use super::Part;
use super::plan::Sector;

/// The regions of flash in which `addresses` lie, wholly or partly.
fn regions<'t>(target: &'t Target, addresses: &[Range<u64>]) -> Vec<&'t NvmRegion> {
    let touched = |region: &&NvmRegion| {
        addresses.iter().any(|a| a.start < region.range.end && region.range.start < a.end)
    };
    target.memory_map.iter().filter_map(MemoryRegion::as_nvm_region).filter(touched).collect()
}

/// The algorithm that probe-rs takes for a region: the only one that covers it, else the default
/// one.
fn algorithm<'t>(target: &'t Target, region: &NvmRegion) -> Option<&'t RawFlashAlgorithm> {
    let core = region.cores.first()?;
    let covers = |algorithm: &&RawFlashAlgorithm| {
        let range = &algorithm.flash_properties.address_range;
        let runs = algorithm.cores.is_empty() || algorithm.cores.contains(core);
        runs && range.start <= region.range.start && region.range.end <= range.end
    };
    let fitting: Vec<_> = target.flash_algorithms.iter().filter(covers).collect();
    match fitting.as_slice() {
        [only] => Some(only),
        several => several.iter().find(|algorithm| algorithm.default).copied(),
    }
}

/// The algorithm for the flash at `address`, and the index of the core that runs it; `None` if
/// there is none.
pub fn algorithm_at(target: &Target, address: u32) -> Option<(&RawFlashAlgorithm, usize)> {
    let place = u64::from(address)..u64::from(address) + 1;
    let region = regions(target, &[place]).into_iter().next()?;
    let core = target.core_index_by_name(region.cores.first()?)?;
    Some((algorithm(target, region)?, core))
}

/// The sectors that `parts` enter, in the order of their addresses. Where a page is larger than a
/// sector, probe-rs erases all the sectors of a page, which are one here.
pub fn sectors(target: &Target, parts: &[Part]) -> Vec<Sector> {
    let addresses: Vec<_> = parts.iter().map(|part| u64::from(part.address)..part.end()).collect();
    let mut sectors = BTreeMap::new();
    for region in regions(target, &addresses) {
        let Some(algorithm) = algorithm(target, region) else { continue };
        for place in erased_at_once(algorithm, region) {
            let entered = addresses.iter().any(|a| a.start < place.end && place.start < a.end);
            let (Ok(address), Ok(bytes)) =
                (u32::try_from(place.start), u32::try_from(place.end - place.start))
            else {
                continue;
            };
            if entered {
                let properties = &algorithm.flash_properties;
                let page_bytes = properties.page_size.clamp(1, bytes);
                let erased = properties.erased_byte_value;
                sectors.insert(address, Sector { address, bytes, page_bytes, erased });
            }
        }
    }
    sectors.into_values().collect()
}

/// The places of a region that are erased at once, each of at least a page.
fn erased_at_once(algorithm: &RawFlashAlgorithm, region: &NvmRegion) -> Vec<Range<u64>> {
    let properties = &algorithm.flash_properties;
    let flash = &properties.address_range;
    let page = u64::from(properties.page_size.max(1));
    let mut places: Vec<Range<u64>> = Vec::new();
    for (index, description) in properties.sectors.iter().enumerate() {
        let next = properties.sectors.get(index + 1);
        let end = next.map_or(flash.end, |next| flash.start + next.address);
        let mut start = flash.start + description.address;
        while start < end && description.size > 0 {
            let sector = start..start + description.size;
            start = sector.end;
            if sector.start < region.range.start || region.range.end < sector.end {
                continue;
            }
            match places.last_mut() {
                // The last one ends in the midst of a page.
                Some(last)
                    if last.end == sector.start
                        && !(last.end - flash.start).is_multiple_of(page) =>
                {
                    last.end = sector.end;
                }
                _ => places.push(sector),
            }
        }
    }
    places
}
