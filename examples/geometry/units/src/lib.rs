//! Distances on a globe.

pub struct Kilometres(pub f64);

const RADIUS: f64 = 6371.0;

/// By the haversine formula, for latitudes and longitudes in degrees.
pub fn great_circle(from: (f64, f64), to: (f64, f64)) -> Kilometres {
    let half_sine = |a: f64, b: f64| ((b - a).to_radians() / 2.0).sin().powi(2);
    let across = from.0.to_radians().cos() * to.0.to_radians().cos() * half_sine(from.1, to.1);
    Kilometres(2.0 * RADIUS * (half_sine(from.0, to.0) + across).sqrt().asin())
}
