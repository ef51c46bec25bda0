use std::path::Path;
use std::{env, fs};

fn main() {
    // Build scripts run in the package that is generated for the script. `file!()` is the original path.
    let table = Path::new(file!()).with_file_name("colors.txt");
    println!("cargo::rerun-if-changed={}", table.display());

    let mut code = String::from("const COLORS: &[(&str, (u8, u8, u8))] = &[\n");
    for line in fs::read_to_string(&table).expect("colors.txt").lines() {
        let (name, hex) = line.split_once(" #").expect("a name and a number");
        let part = |start: usize| u8::from_str_radix(&hex[start..start + 2], 16).expect("hexadecimal");
        code += &format!("    ({name:?}, ({}, {}, {})),\n", part(0), part(2), part(4));
    }
    code += "];\n";
    fs::write(Path::new(&env::var("OUT_DIR").unwrap()).join("colors.rs"), code).unwrap();
}
