//! Widths under a budget of instructions: what the search expects of a choice is what a board counts.

use std::path::PathBuf;

use tinyhero::data::{SampleShape, Split};
use tinyhero::device::bench::bench;
use tinyhero::device::board::{self, Board};
use tinyhero::device::{firmware_image, setup};
use tinyhero::graph::network::Network;
use tinyhero::graph::trained_network::TrainedNetwork;
use tinyhero::study::search::{Cost, Instructions, Search, front, spread};
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::model::Model;

/// A core with dual multiplies, where widths hardly matter, and one with plain ones, where they do.
const BOARDS: [&str; 2] = ["mps2-an386", "mps2-an385-v6m"];

fn boards() -> Vec<(Board, PathBuf)> {
    let setup = setup::ensure(&mut |_| {}).unwrap();
    let boards: Vec<Board> = BOARDS.iter().map(|name| board::find(name).unwrap()).collect();
    let images = firmware_image::build(&boards, &setup, &mut |line| eprintln!("{line}")).unwrap();
    boards.into_iter().zip(images).collect()
}

#[test]
fn a_choice_costs_on_the_board_what_the_sum_over_its_layers_says() {
    let shape = SampleShape::new(8, 8, 1);
    let trained = TrainedNetwork::untrained(Network::open("cnn", shape, 10).unwrap(), 3).unwrap();
    let samples: Vec<i16> = (0..32 * shape.elements()).map(|at| (at * 7_919 % 17) as i16).collect();
    for (board, image) in boards() {
        let meter = |file: &[u8]| {
            let model = Model::load(file).unwrap();
            let found = bench(&board, &image, file, &model)?;
            let layers = found.layers.into_iter().map(|layer| (layer.name, layer.count)).collect();
            Ok(Instructions { total: found.total, layers })
        };
        let search = Search {
            trained: &trained,
            calibration: &samples,
            widths: vec![BitWidth::Two, BitWidth::Four, BitWidth::Eight],
            core: Some(board.core),
            meter: Some(&meter),
        };
        let costs = search.costs().unwrap();
        let all = front(costs.base, &costs.layers, Cost::MOST);
        let counts = || all.iter().map(|point| point.cost.instructions);
        let (fewest, most) = (counts().min().unwrap(), counts().max().unwrap());
        assert!(fewest < most, "{}: {fewest} {most}", board.name);
        let budget = Cost { bytes: usize::MAX, instructions: fewest + (most - fewest) / 2 };
        let within = front(costs.base, &costs.layers, budget);
        assert!(!within.is_empty() && within.len() < all.len(), "{}", board.name);
        for point in spread(&within, 3) {
            let tried = search.attempt(&costs, &point, &Split::default()).unwrap();
            let counted = tried.instructions.unwrap();
            let expected = tried.instructions_estimate.unwrap();
            assert!(
                counted.abs_diff(expected) * 100 <= counted,
                "{}: {counted} counted, {expected} expected of {:?}",
                board.name,
                point.widths
            );
            assert!(tried.flash.abs_diff(point.cost.bytes) <= 64, "{tried:?} {point:?}");
        }
    }
}
