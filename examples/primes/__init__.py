"""Python and Rust in one package: `sieve.rs` is a submodule like any other."""

from .sieve import primes_below

__all__ = ["largest_prime_below", "primes_below"]


def largest_prime_below(limit: int) -> int:
    """The largest prime below `limit`."""
    primes: list[int] = primes_below(limit)
    return primes[-1]
