use super::*;
use crate::deployment::integer_network::OutputTask;
use crate::deployment::quantizer::{Quantization, quantize};
use crate::graph::network::Network;
use crate::graph::trained_network::TrainedNetwork;
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::network::self_test;

fn random_network(name: &str) -> IntegerNetwork {
    let (shape, classes) = Network::default_input(name).unwrap();
    let network = Network::open(name, shape, classes).unwrap();
    let trained = TrainedNetwork::untrained(network, 1).unwrap();
    let samples: Vec<i16> =
        (0..2 * shape.elements()).map(|index| (index * index % 251) as i16).collect();
    quantize(&trained, &samples, &Quantization::new(BitWidth::Four)).unwrap()
}

#[test]
fn the_arena_of_the_benchmark_networks_is_within_five_percent_of_its_bound() {
    for name in
        ["resnet8", "ds-cnn", "mobilenet-v1-0.25", "autoencoder", "resnet20", "cnn", "lenet"]
    {
        let network = random_network(name);
        for core in std::iter::once(None).chain(Core::ALL.map(Some)) {
            let exported = export_for(&network, core).unwrap();
            let (arena, bound) = (exported.plan.arena_bytes, exported.plan.lower_bound);
            let file = exported.bytes.len();
            println!("{name} for {core:?}: arena {arena}, bound {bound}, file {file}");
            assert!(f64::from(arena) <= 1.05 * f64::from(bound), "{name}: {arena} over {bound}");
        }
    }
}

#[test]
fn every_core_s_file_computes_the_same() {
    for name in ["resnet8", "ds-cnn", "cnn", "autoencoder"] {
        let network = random_network(name);
        let digest = |core| {
            let bytes = export_for(&network, core).unwrap().bytes;
            Model::load(&bytes).unwrap().description().self_test.digest
        };
        let portable = digest(None);
        for core in Core::ALL {
            assert_eq!(digest(Some(core)), portable, "{name} for {core}");
        }
    }
}

#[test]
fn a_model_passes_its_own_self_test_and_fails_with_another_seed() {
    let bytes = export(&random_network("cnn")).unwrap().bytes;
    let model = Model::load(&bytes).unwrap();
    let mut raw = vec![0; model.raw_input_bytes()];
    let mut arena = vec![0; model.description().arena_bytes as usize];
    assert_eq!(self_test(&model, &mut Portable, &mut raw, &mut arena), Ok(true));
    let mut network = random_network("cnn");
    network.layers[0].weights.as_mut().unwrap().values[0] ^= 1;
    let other = export(&network).unwrap().bytes;
    let digest = |bytes: &[u8]| Model::load(bytes).unwrap().description().self_test.digest;
    assert_ne!(digest(&bytes), digest(&other));
}

#[test]
fn an_accumulator_that_could_overflow_is_refused_with_its_channel() {
    let mut network = random_network("cnn");
    let layer = network.layers[0].name.clone();
    network.layers[0].weights.as_mut().unwrap().biases[3] = i32::MAX;
    let error = export(&network).unwrap_err().to_string();
    assert!(error.contains(&layer) && error.contains("channel 3"), "{error}");
    assert!(error.contains("fewer bits"), "{error}");
}

#[test]
fn what_the_loader_refuses_names_the_layer_and_the_reason() {
    let mut network = random_network("cnn");
    network.layers[1].activation.min = 5;
    network.layers[1].activation.max = 4;
    let error = export(&network).unwrap_err().to_string();
    assert!(error.contains(&network.layers[1].name), "{error}");
    assert!(error.contains("activation range"), "{error}");
    let mut network = random_network("cnn");
    network.layers[0].weights.as_mut().unwrap().values[0] = 100;
    assert!(export(&network).unwrap_err().to_string().contains("bit width"));
    let mut network = random_network("cnn");
    network.task = OutputTask::Classification { labels: vec!["cat".to_string(), String::new()] };
    assert!(export(&network).unwrap_err().to_string().contains("class name"));
    let mut network = random_network("cnn");
    network.layers.clear();
    assert!(export(&network).is_err());
}

#[test]
fn inspection_shows_what_was_exported() {
    let network = random_network("resnet8");
    let bytes = export(&network).unwrap().bytes;
    let shown = crate::deployment::inspect::inspect(&Model::load(&bytes).unwrap(), bytes.len());
    assert_eq!(shown.layers.len(), network.layers.len());
    assert_eq!(shown.macs, 12_501_632, "MLPerf Tiny's ResNet8");
    let json = serde_json::to_value(&shown).unwrap();
    for key in ["bytes", "arena", "digest", "layers"] {
        assert!(json.get(key).is_some(), "{key}");
    }
    for key in ["name", "operator", "bits", "weights", "bytes"] {
        assert!(json["layers"][0].get(key).is_some(), "{key}");
    }
}

#[test]
fn a_core_has_all_layers_in_its_own_layout_and_few_in_another_s() {
    let network = random_network("ds-cnn");
    for core in Core::ALL {
        let own = export_for(&network, Some(core)).unwrap().bytes;
        let others =
            |bytes: &[u8]| layout::layers_in_other_layouts(&Model::load(bytes).unwrap(), core);
        assert_eq!(others(&own), (0, 10), "{core}");
        let portable = export(&network).unwrap().bytes;
        assert!(others(&portable).0 >= 6, "{core}: {:?}", others(&portable));
    }
}
