//! Which Cargo features a project is built with. One rule:
//!
//! 1. What the caller's settings select (`MaturinSettings(features=…)`, `--features`), or else what was selected on the
//!    command line of the `maturin develop` that installed the project, replaces `[tool.maturin] features`, as it does on
//!    maturin's command line.
//! 2. Without either, those of `[tool.maturin] features` apply whose conditions hold for this Python.
//! 3. `[tool.rustimport] features` are added to either.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use pep440_rs::{Version, VersionSpecifiers};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::env::interpreter::Interpreter;

const DEFAULT: &str = "default";
const OPTIONS: [&str; 3] = ["--features", "--all-features", "--no-default-features"];

/// The features in maturin's table that apply to an interpreter.
pub fn of_maturin(maturin: &Table, interpreter: &Interpreter) -> Vec<String> {
    let (major, minor) = interpreter.version;
    let version = Version::new([u64::from(major), u64::from(minor)]);
    let holds = |feature: &Value| {
        let condition = |key: &str| feature.get(key).and_then(Value::as_str);
        // What maturin does not understand, it reports itself.
        let is_version = |text: &str| VersionSpecifiers::from_str(text).is_ok_and(|wanted| wanted.contains(&version));
        condition("python-version").is_none_or(is_version)
            && condition("python-implementation")
                .is_none_or(|name| name.eq_ignore_ascii_case(&interpreter.implementation))
    };
    let features = maturin.get("features").and_then(Value::as_array).into_iter().flatten();
    let name = |feature: &Value| feature.as_str().or_else(|| feature.get("feature")?.as_str()).map(str::to_owned);
    features.filter(|feature| holds(feature)).filter_map(name).collect()
}

/// The arguments that select features in a list of arguments for cargo.
pub fn selection(arguments: &[String]) -> Vec<String> {
    let mut words = arguments.iter();
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        if OPTIONS.contains(&word.as_str()) {
            found.push(word.clone());
            if word == OPTIONS[0] {
                found.extend(words.next().cloned());
            }
        }
    }
    found
}

/// The features that arguments for cargo name.
pub fn names(selection: &[String]) -> Vec<String> {
    let lists = selection.iter().zip(selection.iter().skip(1)).filter(|(option, _)| *option == OPTIONS[0]);
    lists.flat_map(|(_, list)| list.split([',', ' '])).map(str::to_owned).collect()
}

/// The features that a package defines: a name, and what it enables.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Defined(pub BTreeMap<String, Vec<String>>);

impl Defined {
    /// The features of this package that arguments for cargo enable, with those that they enable in turn.
    pub fn enabled_by(&self, selection: &[String]) -> BTreeSet<String> {
        let is_given = |option: &str| selection.iter().any(|word| word == option);
        let mut open = names(selection);
        open.extend(Some(DEFAULT.to_owned()).filter(|_| !is_given(OPTIONS[2])));
        if is_given(OPTIONS[1]) {
            open.extend(self.0.keys().cloned());
        }
        let mut found = BTreeSet::new();
        while let Some(feature) = open.pop() {
            if let Some(enables) = self.0.get(&feature)
                && found.insert(feature)
            {
                // `dependency/feature` enables the optional dependency, whose feature has its name.
                open.extend(enables.iter().map(|name| name.split('/').next().unwrap_or_default().to_owned()));
            }
        }
        found
    }

    /// The arguments that enable exactly `features` of this package. `others` are those of maturin's table, which apply if
    /// they are among them.
    pub fn selecting(&self, features: &BTreeSet<String>, others: &[String]) -> Vec<String> {
        let has_default = features.contains(DEFAULT) || !self.0.contains_key(DEFAULT);
        let is_on = |name: &String| !self.0.contains_key(name) || features.contains(name);
        let others = others.iter().filter(|_| others.iter().all(is_on));
        let named: BTreeSet<&String> = features.iter().filter(|name| *name != DEFAULT).chain(others).collect();
        let mut arguments: Vec<String> = Vec::new();
        arguments.extend(Some(OPTIONS[2].to_owned()).filter(|_| !has_default));
        let list: Vec<&str> = named.into_iter().map(String::as_str).collect();
        if !list.is_empty() {
            arguments.extend([OPTIONS[0].to_owned(), list.join(",")]);
        } else if features.contains(DEFAULT) {
            // So that maturin's table does not apply.
            arguments.extend([OPTIONS[0].to_owned(), DEFAULT.to_owned()]);
        }
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::interpreter::tests::interpreter;

    #[test]
    fn conditions_of_maturins_features() {
        let check = |features: &str, expected: &[&str]| {
            let table: Table = format!("features = [{features}]").parse().unwrap();
            let interpreter = Interpreter { implementation: "CPython".into(), version: (3, 11), ..interpreter() };
            assert_eq!(of_maturin(&table, &interpreter), expected, "{features}");
        };
        check("'a', 'pyo3/abi3'", &["a", "pyo3/abi3"]);
        check("{ feature = 'a', python-version = '<3.11' }", &[]);
        check("{ feature = 'a', python-version = '>=3.10,<3.12' }", &["a"]);
        check("{ feature = 'a', python-version = '==3.11' }, { feature = 'b', python-version = '==3.*' }", &["a", "b"]);
        check("{ feature = 'a', python-implementation = 'pypy' }, { feature = 'b' }", &["b"]);
        check("{ feature = 'a', python-implementation = 'cpython' }", &["a"]);
        check("{ feature = 'a', python-version = 'nonsense' }", &[]);
    }

    #[test]
    fn features_are_found_again_in_arguments() {
        let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let defined = [("default", vec!["a"]), ("a", vec![]), ("b", vec!["c", "dep:x", "y/z"]), ("c", vec![])];
        let defined = Defined(defined.into_iter().map(|(name, enables)| (name.to_owned(), list(&enables))).collect());
        let check = |arguments: &[&str], enabled: &[&str], others: &[&str], again: &[&str]| {
            let selection = selection(&list(arguments));
            let found = defined.enabled_by(&selection);
            assert_eq!(found, list(enabled).into_iter().collect(), "{arguments:?}");
            let again_selected = defined.selecting(&found, &list(others));
            assert_eq!(again_selected, again, "{arguments:?}");
            assert_eq!(defined.enabled_by(&again_selected), found);
        };
        check(&["--locked"], &["default", "a"], &[], &["--features", "a"]);
        check(
            &["--features", "b", "--locked"],
            &["default", "a", "b", "c"],
            &["c", "p/q"],
            &["--features", "a,b,c,p/q"],
        );
        check(&["--no-default-features"], &[], &["c"], &["--no-default-features"]);
        check(
            &["--no-default-features", "--features", "c"],
            &["c"],
            &["p/q"],
            &["--no-default-features", "--features", "c,p/q"],
        );
        check(&["--all-features"], &["default", "a", "b", "c"], &[], &["--features", "a,b,c"]);
    }
}
