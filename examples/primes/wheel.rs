/// Two, and the odd numbers.
pub fn candidates(limit: usize) -> impl Iterator<Item = usize> {
    std::iter::once(2).chain((3..limit).step_by(2)).filter(move |n| *n < limit)
}
