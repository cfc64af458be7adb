//! Deliveries as they are kept. An event is in the outbox in the same write that moves the cursor
//! over it, so a restart neither loses nor repeats it there.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use surefoot::core::time::Millis;
use surefoot::store::{Error, Expect, ITEM_WRITES_MAX, ItemWrite, Store};
use surefoot_client::wire;

use super::PAGE;
use crate::time;

pub(crate) const COLLECTION: &str = "deliveries";
/// Deliveries that were made and stay visible, for each receiver.
pub(crate) const MADE_MAX: usize = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Pending,
    Delivered,
    /// Given up after the last attempt.
    Failed,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Delivery {
    pub status: Status,
    pub attempts: u32,
    /// When it is tried, if it is pending.
    pub due: Millis,
    pub last_answer: Option<String>,
    pub created_at: Millis,
    pub delivered_at: Option<Millis>,
    pub event: Value,
}

impl Delivery {
    pub fn new(event: Value, now: Millis) -> Delivery {
        Delivery {
            status: Status::Pending,
            attempts: 0,
            due: now,
            last_answer: None,
            created_at: now,
            delivered_at: None,
            event,
        }
    }

    pub fn to_wire(&self, id: &str) -> wire::Delivery {
        let status = match self.status {
            Status::Pending => "pending",
            Status::Delivered => "delivered",
            Status::Failed => "failed",
        };
        wire::Delivery {
            id: id.to_owned(),
            status: status.to_owned(),
            attempts: self.attempts,
            next_attempt_at: (self.status == Status::Pending).then(|| time::text(self.due)),
            last_answer: self.last_answer.clone(),
            created_at: time::text(self.created_at),
            delivered_at: self.delivered_at.map(time::text),
            event: self.event.clone(),
        }
    }

    fn body(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// The deliveries of one receiver. Their keys are `RECEIVER/DELIVERY`, and `RECEIVER/` is the cursor.
#[derive(Clone)]
pub(crate) struct Outbox(String);

impl Outbox {
    pub fn of(receiver: &str) -> Outbox {
        Outbox(format!("{receiver}/"))
    }

    fn key(&self, id: &str) -> String {
        format!("{}{id}", self.0)
    }

    /// Returns where the receiver's courier goes on in the journal; where the journal ends, if it
    /// has never worked.
    pub async fn cursor(&self, store: &dyn Store) -> Result<i64, Error> {
        let kept = store.item(COLLECTION, &self.0).await?;
        let kept = kept.and_then(|it| String::from_utf8(it.body).ok()?.parse().ok());
        if let Some(cursor) = kept {
            return Ok(cursor);
        }
        let end = store.journal_end().await?;
        write(store, vec![self.cursor_write(end)]).await?;
        Ok(end)
    }

    fn cursor_write(&self, cursor: i64) -> ItemWrite {
        ItemWrite::put(COLLECTION, &self.0, Expect::Anything, cursor.to_string().into_bytes())
    }

    /// Keeps new deliveries and moves the cursor over what they came from, together.
    pub async fn add(
        &self,
        store: &dyn Store,
        new: &[(String, Delivery)],
        cursor: i64,
    ) -> Result<(), Error> {
        let put = |(id, delivery): &(String, Delivery)| {
            ItemWrite::put(COLLECTION, &self.key(id), Expect::Anything, delivery.body())
        };
        let writes = new.iter().map(put).chain([self.cursor_write(cursor)]).collect();
        write(store, writes).await
    }

    /// Keeps a delivery unless there is one of this id. Returns whether there was none.
    pub async fn add_once(
        &self,
        store: &dyn Store,
        id: &str,
        delivery: &Delivery,
    ) -> Result<bool, Error> {
        let put = ItemWrite::put(COLLECTION, &self.key(id), Expect::Absent, delivery.body());
        Ok(store.write_items(vec![put]).await?.is_ok())
    }

    /// Keeps what became of deliveries, and drops old ones.
    pub async fn update(
        &self,
        store: &dyn Store,
        changed: &[(String, Delivery)],
        dropped: Vec<String>,
    ) -> Result<(), Error> {
        let put = |(id, delivery): &(String, Delivery)| {
            ItemWrite::put(COLLECTION, &self.key(id), Expect::Anything, delivery.body())
        };
        let drop = |id: String| ItemWrite::remove(COLLECTION, &self.key(&id), Expect::Anything);
        write(store, changed.iter().map(put).chain(dropped.into_iter().map(drop)).collect()).await
    }

    pub async fn get(&self, store: &dyn Store, id: &str) -> Result<Option<Delivery>, Error> {
        let item = store.item(COLLECTION, &self.key(id)).await?;
        Ok(item.and_then(|it| serde_json::from_slice(&it.body).ok()))
    }

    /// Returns deliveries after one, by id. Nothing only at the end.
    pub async fn page(
        &self,
        store: &dyn Store,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<(String, Delivery)>, Error> {
        // The cursor is the first key and no delivery.
        let after = after.map_or_else(|| self.0.clone(), |it| self.key(it));
        let items = store.items(COLLECTION, Some(&after), limit).await?;
        let own = items.into_iter().filter_map(|item| {
            let id = item.key.strip_prefix(&self.0)?.to_owned();
            Some((id, serde_json::from_slice(&item.body).ok()?))
        });
        Ok(own.collect())
    }

    /// Removes everything that is kept for the receiver.
    pub async fn clear(&self, store: &dyn Store) -> Result<(), Error> {
        loop {
            let page = self.page(store, None, PAGE.min(ITEM_WRITES_MAX as u32)).await?;
            if page.is_empty() {
                break;
            }
            self.update(store, &[], page.into_iter().map(|(id, _)| id).collect()).await?;
        }
        write(store, vec![ItemWrite::remove(COLLECTION, &self.0, Expect::Anything)]).await
    }
}

/// Writes what expects nothing.
async fn write(store: &dyn Store, writes: Vec<ItemWrite>) -> Result<(), Error> {
    store.write_items(writes).await.map(drop)
}
