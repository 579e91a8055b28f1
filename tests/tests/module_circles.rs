//! No module imports another in a circle: within every folder of sources, what imports whom has a direction.
//!
//! Read from the `use` lines and the paths in the code, without the tests. A module and the modules inside it are one: a parent may
//! name its children, and a child may take what its parent holds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tinyhero::device::board;

/// A module, by its path from the crate's root.
type Module = Vec<String>;

/// The text of every module of the crate whose sources are in `folder`, without comments and unit tests.
fn modules(folder: &Path) -> BTreeMap<Module, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![(folder.to_path_buf(), Vec::new())];
    while let Some((folder, inside)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_string();
            let child = || [inside.clone(), vec![name.clone()]].concat();
            if name == "tests" {
                continue;
            }
            if path.is_dir() {
                folders.push((path, child()));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let module =
                    if ["lib", "main"].contains(&name.as_str()) { vec![] } else { child() };
                let text = std::fs::read_to_string(&path).unwrap();
                found.entry(module).or_insert_with(String::new).push_str(&code(&text));
            }
        }
    }
    found
}

/// A file up to its unit tests, without comments.
fn code(text: &str) -> String {
    let tests = text.lines().collect::<Vec<_>>();
    let end = tests
        .windows(2)
        .position(|pair| pair[0] == "#[cfg(test)]" && pair[1].ends_with('{'))
        .unwrap_or(tests.len());
    let lines = tests[..end].iter().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// Every path from `crate`, `super` or `self` on, those in braces written out.
fn paths(code: &str) -> Vec<String> {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut found = Vec::new();
    for root in ["crate::", "super::", "self::"] {
        for (start, _) in code.match_indices(root) {
            let before = code[..start].chars().next_back();
            if before.is_some_and(|letter| is_word(letter) || letter == ':') {
                continue;
            }
            let rest = &code[start..];
            let end = rest.find(|letter: char| !is_word(letter) && letter != ':');
            let head = &rest[..end.unwrap_or(rest.len())];
            if head.ends_with("::") && rest[head.len()..].starts_with('{') {
                expand(head, &rest[head.len() + 1..], &mut found);
            } else {
                found.push(head.to_string());
            }
        }
    }
    found
}

/// The paths in braces that `body` begins with, each with `head` before it; returns the bytes up to the closing brace.
fn expand(head: &str, body: &str, found: &mut Vec<String>) -> usize {
    let mut word = String::new();
    let mut at = 0;
    while let Some(letter) = body[at..].chars().next() {
        at += letter.len_utf8();
        match letter {
            '{' => at += expand(&format!("{head}{word}"), &body[at..], found),
            ',' | '}' => {
                found.push(format!("{head}{word}"));
                word.clear();
                if letter == '}' {
                    return at;
                }
            }
            letter if letter.is_whitespace() => {}
            letter => word.push(letter),
        }
    }
    at
}

/// The module that a path in `from` leads into.
fn target(path: &str, from: &Module, all: &BTreeMap<Module, String>) -> Module {
    let mut module = from.clone();
    for part in path.split("::") {
        match part {
            "crate" => module.clear(),
            "super" => drop(module.pop()),
            "self" | "" => {}
            name => module.push(name.to_string()),
        }
    }
    while !module.is_empty() && !all.contains_key(&module) {
        module.pop();
    }
    module
}

/// The circles among the modules of each folder: the folder, and the imports that lead from its modules back to themselves.
fn circles(all: &BTreeMap<Module, String>) -> Vec<String> {
    let mut folders: BTreeMap<Module, BTreeMap<String, BTreeSet<(String, String)>>> =
        BTreeMap::new();
    for (from, code) in all {
        for path in paths(code) {
            let to = target(&path, from, all);
            let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            if shared < from.len() && shared < to.len() {
                let why = format!("{} uses {}", from.join("/"), to.join("/"));
                let imports = folders.entry(from[..shared].to_vec()).or_default();
                imports.entry(from[shared].clone()).or_default().insert((to[shared].clone(), why));
            }
        }
    }
    let mut found = Vec::new();
    for imports in folders.values() {
        let reached = |start: &String| {
            let mut seen = BTreeSet::new();
            let mut next = vec![start.clone()];
            while let Some(module) = next.pop() {
                for (to, _) in imports.get(&module).into_iter().flatten() {
                    if seen.insert(to.clone()) {
                        next.push(to.clone());
                    }
                }
            }
            seen
        };
        for (from, targets) in imports {
            let back = targets.iter().filter(|(to, _)| reached(to).contains(from));
            found.extend(back.map(|(_, why)| why.clone()));
        }
    }
    found
}

#[test]
fn no_crate_has_a_circle_of_modules() {
    let root = board::workspace_root().unwrap();
    for sources in ["common/src", "firmware/src", "host/src"] {
        let all = modules(&root.join(sources));
        let imports: usize = all.values().map(|code| paths(code).len()).sum();
        assert!(all.len() > 20 && imports > all.len(), "{sources}: {imports} imports");
        let circles = circles(&all);
        assert!(circles.is_empty(), "{sources}: a circle of\n{}", circles.join("\n"));
    }
}

#[test]
fn a_circle_is_seen() {
    let module = |name: &str| name.split('/').map(str::to_string).collect::<Vec<_>>();
    let mut all = BTreeMap::new();
    all.insert(Vec::new(), "mod a; mod b; mod c;".to_string());
    all.insert(module("a"), "use crate::b::{self, x::{Y, Z}};".to_string());
    all.insert(module("b"), "mod x; pub use x::Y;".to_string());
    all.insert(module("b/x"), "use super::Q; use crate::c::R;".to_string());
    all.insert(module("c"), "fn f() {}".to_string());
    assert_eq!(circles(&all), Vec::<String>::new());
    all.insert(module("c"), "fn f() { crate::a::g() }".to_string());
    assert_eq!(circles(&all), ["a uses b", "a uses b/x", "b/x uses c", "c uses a"]);
}
