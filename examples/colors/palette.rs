// rustimport:pyo3
//
// A build script runs before the compiler, and generates the file that is included here.
//
//: [package]
//: build = "build.rs"

include!(concat!(env!("OUT_DIR"), "/colors.rs"));

/// The names of all colors.
#[pyfunction]
fn names() -> Vec<&'static str> {
    COLORS.iter().map(|(name, _)| *name).collect()
}

/// Red, green and blue of a color; `None` if it is unknown.
#[pyfunction]
fn rgb(name: &str) -> Option<(u8, u8, u8)> {
    COLORS.iter().find(|(known, _)| *known == name).map(|(_, rgb)| *rgb)
}
