// rustimport:pyo3
//
// JSON with serde. Derive macros need only their dependencies in the header.
//
//: [dependencies]
//: serde = { version = "1", features = ["derive"] }
//: serde_json = "1"

use std::collections::BTreeMap;

use pyo3::exceptions::PyValueError;
use serde::Deserialize;

#[derive(Deserialize)]
struct Order {
    customer: String,
    #[serde(default)]
    cents: u64,
}

/// The orders of each customer, in cents. `text` is a JSON list of orders.
#[pyfunction]
fn totals(text: &str) -> PyResult<BTreeMap<String, u64>> {
    let orders: Vec<Order> = serde_json::from_str(text).map_err(|error| PyValueError::new_err(error.to_string()))?;
    let mut totals = BTreeMap::new();
    for order in orders {
        *totals.entry(order.customer).or_default() += order.cents;
    }
    Ok(totals)
}
