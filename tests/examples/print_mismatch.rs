use tinyhero_tests::Mismatch;
fn main() {
    let words: Vec<u32> = std::env::args().skip(1).filter_map(|a| u32::from_str_radix(a.strip_prefix("0x")?, 16).ok()).collect();
    println!("{}", Mismatch::from_words(words.try_into().unwrap()).unwrap());
}
