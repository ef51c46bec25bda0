"""The names that users of `maturin_import_hook` and `rustimport` 1.7 type. Public modules re-export them."""
