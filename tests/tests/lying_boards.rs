//! Ten thousand boards that lie, babble, answer others or fall silent: every wait ends at its limit, no wrong result is believed, and
//! nothing panics. The clock is simulated.
//!
//! `cargo test --release --test lying_boards -- --nocapture` prints what happened.

#[path = "qemu/handmade_model.rs"]
mod handmade_model;
#[path = "support/lying_link.rs"]
mod lying_link;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use handmade_model::handmade_model;
use lying_link::{Habits, LyingLink, Truth};
use rayon::prelude::*;
use tinyhero::data::Split;
use tinyhero::deployment::integer::{self, Evaluation};
use tinyhero::device::board::{self, Board};
use tinyhero::device::client::{Client, Keep};
use tinyhero::device::verify::{Counts, compare};
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::model::Model;
use tinyhero_common::network::SelfTestInput;
use tinyhero_tests::Generator;

const BOARDS: u32 = 10_000;
const LIMIT: Duration = Duration::from_secs(120);
const INPUT_BYTES: usize = 64;
const OUTPUT_BYTES: usize = 10;
const INPUTS: usize = 6;
/// Times that an update is begun, parts of the model that go into one frame, and what else an update asks.
const UPDATE_REQUESTS: u64 = 4 * 40;

fn files() -> [Vec<u8>; 2] {
    [BitWidth::Four, BitWidth::Two].map(handmade_model)
}

fn samples(raw: &[u8]) -> Vec<i16> {
    raw.iter().map(|&byte| i16::from(byte)).collect()
}

fn truth(file: Vec<u8>) -> Truth {
    let digest = Model::load(&file).unwrap().digest();
    let for_layers = file.clone();
    Truth {
        digest,
        result: Box::new(move |input| {
            let model = Model::load(&file).unwrap();
            let outcome = integer::run_all(&model, &samples(input)).unwrap().remove(0);
            let mut bytes = outcome.label.to_le_bytes().to_vec();
            bytes.extend(outcome.digest.to_le_bytes());
            bytes.extend(outcome.scores.iter().map(|score| score.cast_unsigned()));
            bytes
        }),
        layers: Box::new(move |input| {
            let model = Model::load(&for_layers).unwrap();
            let digests = integer::layer_digests(&model, input).unwrap();
            digests
                .iter()
                .flat_map(|digest| [digest.to_le_bytes(), [1, 0, 0, 0]].concat())
                .collect()
        }),
    }
}

/// What everybody shares.
struct Scene {
    truth: Vec<Truth>,
    files: [Vec<u8>; 2],
    board: Board,
    raw: Vec<u8>,
    test: Split,
    host: [Evaluation; 2],
}

impl Scene {
    fn new() -> Self {
        let files = files();
        let raw: Vec<u8> = SelfTestInput::new(5).take(INPUTS * INPUT_BYTES).collect();
        let test = Split { samples: samples(&raw), labels: vec![0; INPUTS], ..Split::default() };
        let host = files.each_ref().map(|file| {
            integer::evaluate(&Model::load(file).unwrap(), &test.samples, &test.labels).unwrap()
        });
        let truth = files.iter().cloned().map(truth).collect();
        Self { truth, files, board: board::find("mps2-an386").unwrap(), raw, test, host }
    }

    fn board(&self, habits: Habits) -> LyingLink<'_> {
        LyingLink::new(&self.truth, habits, 1, LIMIT)
    }
}

/// An error is one line and harmless to a terminal.
fn assert_plain(text: &str) {
    assert!(!text.contains(char::is_control), "{text:?}");
}

/// Compares a board with the host. Whether it agrees; then it has told the truth.
fn compare_with_host(
    client: &mut Client<LyingLink<'_>>,
    scene: &Scene,
    model: usize,
) -> Option<bool> {
    let loaded = Model::load(&scene.files[model]).unwrap();
    let (test, host) = (&scene.test, &scene.host[model]);
    let before = client.link().requests;
    let report = compare(client, &scene.board, Counts::Cycles, &loaded, test, host, &mut |_| {});
    assert!(client.link().requests - before <= INPUTS as u64 + 256);
    match report {
        Ok(report) => {
            let link = client.link();
            // What is lost on the way may have been a lie that nobody heard.
            assert!(report.agrees() || link.lied_about_results, "{report:?}");
            if link.loses_nothing() {
                assert!(report.agrees() != link.lied_about_results, "{report:?}");
            }
            Some(report.agrees())
        }
        Err(error) => {
            assert_plain(&error.to_string());
            None
        }
    }
}

#[test]
fn no_board_that_lies_hangs_the_host_or_is_believed() {
    let scene = Scene::new();
    let started = Instant::now();
    let tally: [AtomicU64; 5] = Default::default();
    let count = |what: usize| tally[what].fetch_add(1, Ordering::Relaxed);
    (0..BOARDS).into_par_iter().for_each(|number| {
        let mut random = Generator::new(number, 0xB0A2D);
        let mut share = || if random.chance(6) { 1 << random.below(8) } else { 0 };
        let habits = Habits {
            lies: share() * 2,
            evades: share() / 4,
            strays: share() / 4,
            damages: share(),
            silent: share() / 4,
            babbles: share() / 8,
            floods: share() / 8,
            late: share(),
        };
        let link = LyingLink::new(&scene.truth, habits, number, LIMIT);
        let mut client = match Client::connect(link, LIMIT) {
            Ok(client) => client,
            Err(error) => {
                assert_plain(&error.to_string());
                count(0);
                return;
            }
        };
        match compare_with_host(&mut client, &scene, 0) {
            Some(true) => count(1),
            Some(false) => count(2),
            None => count(3),
        };
        let before = client.link().requests;
        for outcome in [client.self_test().map(drop), client.usage().map(drop)] {
            outcome.unwrap_or_else(|error| assert_plain(&error.to_string()));
        }
        if let Ok(layers) = client.layers(&scene.raw[..INPUT_BYTES]) {
            assert!((1..=256).contains(&layers.layers.len()));
        }
        match client.update(&scene.files[1], Keep::Committed, &mut |_| {}) {
            Ok(digest) => {
                assert_eq!(digest, scene.truth[1].digest);
                assert_eq!(client.information().model, Ok(digest));
                count(4);
            }
            Err(error) => assert_plain(&error.to_string()),
        }
        assert!(client.link().requests - before < 2 + 256 + UPDATE_REQUESTS);
    });
    let [no_greeting, agree, differ, given_up, updated] = tally.map(AtomicU64::into_inner);
    eprintln!(
        "{BOARDS} boards in {:?}: {no_greeting} without a greeting, {agree} agree, {differ} differ, \
         {given_up} given up, {updated} updated",
        started.elapsed()
    );
    // All kinds must occur, or this shows nothing.
    assert!([no_greeting, agree, differ, given_up, updated].iter().all(|&count| count > 40));
}

/// A client that has greeted an honest board, which then takes to its `habits`.
fn turned(mut link: LyingLink<'_>, habits: Habits) -> Client<LyingLink<'_>> {
    link.turn(Habits::default());
    let mut client = Client::connect(link, LIMIT).unwrap();
    client.link_mut().turn(habits);
    client
}

#[test]
fn babble_and_strays_do_not_stretch_a_limit() {
    let scene = Scene::new();
    let babbles = Habits { babbles: 256, ..Habits::default() };
    let floods = Habits { floods: 256, ..Habits::default() };
    for habits in [babbles, floods] {
        let mut client = turned(scene.board(Habits::default()), habits);
        let before = client.link().elapsed();
        let error = client.self_test().unwrap_err().to_string();
        assert!(error.starts_with("liar: no answer within 120.0 s"), "{error}");
        let waited = client.link().elapsed() - before;
        assert!(waited < LIMIT + Duration::from_secs(1), "{waited:?}");
    }
}

#[test]
fn counts_beyond_the_clock_are_refused_and_not_wrapped() {
    let scene = Scene::new();
    let mut link = scene.board(Habits::default());
    link.count = u64::MAX / 2 + 1;
    let mut client = turned(link, Habits::default());
    let error =
        client.run(&scene.raw, INPUT_BYTES, OUTPUT_BYTES, &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("a clock of 64 bits"), "{error}");
}

#[test]
fn a_slow_board_with_absurd_frames_is_never_given_more_than_the_limit() {
    let scene = Scene::new();
    let mut link = scene.board(Habits::default());
    link.frame_bytes = u32::MAX;
    link.pace = Duration::from_secs(20);
    let mut client = turned(link, Habits::default());
    assert!(client.inputs_per_request(INPUT_BYTES, OUTPUT_BYTES) < 20_000);
    // The link itself looks at every wait.
    let batch = client.run(&scene.raw, INPUT_BYTES, OUTPUT_BYTES, &mut |_| {}).unwrap();
    assert_eq!(batch.results.len(), INPUTS);
    // Twenty seconds each: one at a time.
    assert_eq!(client.link().requests, 1 + INPUTS as u64);
}

#[test]
fn a_board_that_is_lost_in_a_batch_is_given_up_after_some_questions() {
    let scene = Scene::new();
    let mut link = scene.board(Habits::default());
    link.pace = Duration::from_millis(2);
    let mut client = turned(link, Habits::default());
    client.run(&scene.raw, INPUT_BYTES, OUTPUT_BYTES, &mut |_| {}).unwrap();
    client.link_mut().turn(Habits { silent: 256, ..Habits::default() });
    let before = client.link().elapsed();
    let inputs = scene.raw.repeat(100);
    let error =
        client.run(&inputs, INPUT_BYTES, OUTPUT_BYTES, &mut |_| {}).unwrap_err().to_string();
    assert!(error.starts_with("liar: no answer within"), "{error}");
    // Not two minutes and a hundred times what the inputs of a whole frame take.
    let waited = client.link().elapsed() - before;
    assert!(waited < Duration::from_secs(40), "{waited:?}");
}

#[test]
fn an_update_that_does_not_get_on_is_given_up() {
    let scene = Scene::new();
    for written in [0_u32, 256, 1, u32::MAX] {
        let mut client = turned(scene.board(Habits::default()), Habits::default());
        client.link_mut().always_written = Some(written);
        let before = client.link().requests;
        let error = client.write_model(&scene.files[1]).unwrap_err().to_string();
        assert!(error.contains("does not get on with the update"), "{written}: {error}");
        assert!(client.link().requests - before <= UPDATE_REQUESTS);
        assert_eq!(client.greet().unwrap().model, Ok(scene.truth[0].digest));
    }
}

#[test]
fn a_board_that_greets_with_another_model_after_an_update_is_not_believed() {
    let scene = Scene::new();
    let mut client = turned(scene.board(Habits::default()), Habits::default());
    client.link_mut().keeps_its_model = true;
    let error = client.write_model(&scene.files[1]).unwrap_err().to_string();
    assert!(error.contains("greets with another"), "{error}");
}
