// rustimport:pyo3
//
// Structs with fields and methods, an enum whose variants contain values, and a class with subclasses.

use std::f64::consts::PI;

/// Something with an area.
#[pyclass(frozen)]
enum Shape {
    Circle { radius: f64 },
    Rectangle { width: f64, height: f64 },
    #[pyo3(constructor = (base, height = 1.0))]
    Triangle { base: f64, height: f64 },
}

#[pymethods]
impl Shape {
    fn area(&self) -> f64 {
        match self {
            Self::Circle { radius } => PI * radius * radius,
            Self::Rectangle { width, height } => width * height,
            Self::Triangle { base, height } => base * height / 2.0,
        }
    }
}

/// A place in the plane.
#[pyclass(eq, frozen, get_all, subclass)]
#[derive(Clone, PartialEq)]
struct Point {
    x: f64,
    y: f64,
}

#[pymethods]
impl Point {
    #[new]
    fn new(x: f64, y: f64) -> Self {
        Self { x, y }
    }

    fn __add__(&self, other: PyRef<'_, Self>) -> Self {
        Self { x: self.x + other.x, y: self.y + other.y }
    }

    fn __repr__(&self) -> String {
        format!("Point({}, {})", self.x, self.y)
    }
}
