"""Compatible names for users of `maturin_import_hook` and `rustimport` 1.7. Public modules re-export them."""
