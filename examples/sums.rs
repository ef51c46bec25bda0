// rustimport:cffi
//
// A module of functions for C, which cffi calls:
//
//     numbers = sums.ffi.new("double[]", [1.5, 2.5])
//     sums.total(numbers, 2)

#[repr(C)]
pub struct Range {
    pub low: f64,
    pub high: f64,
}

/// # Safety
///
/// `data` has `length` elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn total(data: *const f64, length: usize) -> f64 {
    unsafe { std::slice::from_raw_parts(data, length) }.iter().sum()
}

/// # Safety
///
/// `data` has `length` elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn range(data: *const f64, length: usize) -> Range {
    let data = unsafe { std::slice::from_raw_parts(data, length) };
    let nothing = Range { low: f64::INFINITY, high: f64::NEG_INFINITY };
    data.iter().fold(nothing, |range, &value| Range { low: range.low.min(value), high: range.high.max(value) })
}
