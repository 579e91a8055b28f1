//! The application on a mocked bus: every transfer is expected, and the model's judgement is that of a person.

use embedded_hal::i2c::ErrorKind;
use embedded_hal_mock::eh1::i2c::{Mock, Transaction};
use tinyhero_firmware::kernel::Portable;
use tinyhero_motion::{Motion, MotionEngine, MotionError, SensorError, State, WINDOW};

const ADDRESS: u8 = 0x18;
const GRAVITY: f64 = 16_384.0;

fn set_up() -> Vec<Transaction> {
    vec![
        Transaction::write_read(ADDRESS, vec![0x0F], vec![0x33]),
        Transaction::write(ADDRESS, vec![0x20, 0x57]),
        Transaction::write(ADDRESS, vec![0x23, 0x88]),
    ]
}

fn reading(axes: [f64; 3]) -> Transaction {
    let bytes = axes.iter().flat_map(|&axis| (axis as i16).to_le_bytes()).collect();
    Transaction::write_read(ADDRESS, vec![0xA8], bytes)
}

/// One window of the state, as the sensor would give it.
fn window(state: State) -> Vec<Transaction> {
    (0..WINDOW)
        .map(|sample| {
            let time = sample as f64;
            let (angle, shake) = match state {
                State::Still => (0.4_f64, 0.0),
                State::Turning => (-0.6 + 0.09 * time, 0.0),
                State::Shaking => (0.2, 6_000.0 * (time * std::f64::consts::TAU / 4.0).sin()),
            };
            reading([GRAVITY * angle.sin() + shake, shake, GRAVITY * angle.cos() + shake])
        })
        .collect()
}

#[test]
fn the_linked_model_tells_the_three_states() {
    let states = [State::Still, State::Shaking, State::Turning, State::Still];
    let mut expected = set_up();
    states.iter().for_each(|&state| expected.extend(window(state)));
    let mut engine = MotionEngine::new(Portable);
    // A refused model is one of another format: model/data.py says how it was made.
    let mut motion = Motion::new(Mock::new(&expected), &mut engine).unwrap();
    for state in states {
        for _ in 1..WINDOW {
            assert_eq!(motion.step(), Ok(None));
        }
        assert_eq!(motion.step(), Ok(Some(state)));
    }
    motion.release().done();
}

#[test]
fn another_sensor_is_refused() {
    let mut engine = MotionEngine::new(Portable);
    let expected = [Transaction::write_read(ADDRESS, vec![0x0F], vec![0x32])];
    let mut bus = Mock::new(&expected);
    let found = Motion::new(bus.clone(), &mut engine).map(|_| ());
    assert_eq!(found, Err(MotionError::Sensor(SensorError::Other(0x32))));
    bus.done();
}

#[test]
fn a_bus_that_fails_is_reported_and_the_next_reading_counts() {
    let mut expected = set_up();
    expected.push(reading([0.0; 3]).with_error(ErrorKind::Bus));
    expected.extend(window(State::Still));
    let mut engine = MotionEngine::new(Portable);
    let mut motion = Motion::new(Mock::new(&expected), &mut engine).unwrap();
    assert_eq!(motion.step(), Err(MotionError::Sensor(SensorError::Bus(ErrorKind::Bus))));
    for _ in 1..WINDOW {
        assert_eq!(motion.step(), Ok(None));
    }
    assert_eq!(motion.step(), Ok(Some(State::Still)));
    motion.release().done();
}
