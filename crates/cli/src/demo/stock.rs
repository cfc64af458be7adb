//! The shop's shelves: a table in SQLite that the workflow itself takes from.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;

use crate::exit::Exit;
use crate::failure::{Failure, Result};

pub type Stock = BTreeMap<String, i64>;

pub fn fill(path: &Path) -> Result<()> {
    let sql = "CREATE TABLE stock (sku TEXT PRIMARY KEY, quantity INTEGER NOT NULL CHECK (quantity >= 0));
               INSERT INTO stock VALUES ('cup', 5), ('tea', 10);";
    Connection::open(path).and_then(|it| it.execute_batch(sql)).map_err(|it| unusable(path, &it))
}

pub fn read(path: &Path) -> Result<Stock> {
    shelves(path).map_err(|it| unusable(path, &it))
}

fn shelves(path: &Path) -> rusqlite::Result<Stock> {
    let database = Connection::open(path)?;
    let mut query = database.prepare("SELECT sku, quantity FROM stock")?;
    query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn unusable(path: &Path, error: &rusqlite::Error) -> Failure {
    let message = format!("the shop's stock at {} cannot be used: {error}", path.display());
    Failure::new(Exit::Unreachable, "SF5081", message)
        .hint("Check the disk, or name a store elsewhere with --store.")
}
