//! Deliveries that have come, so that none starts anything twice.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use surefoot_core::ids::Digest;
use surefoot_core::time::Millis;
use surefoot_store::{Expect, ItemWrite};

use super::{Delivery, DeliveryError, Received, StartedBy, Triggers};

const COLLECTION: &str = "hooks_seen";
/// How long a delivery is remembered: senders try again for a day or two.
pub const SEEN_MS: Millis = 3 * 24 * 3600 * 1000;
/// How often those that came longer ago are removed.
pub(super) const SWEEP_INTERVAL: Duration = Duration::from_secs(600);
/// Deliveries that are looked at together.
const PAGE_MAX: u32 = 500;

/// A delivery that has come.
#[derive(Serialize, Deserialize)]
struct Seen {
    at: Millis,
    digest: Digest,
    started: Vec<StartedBy>,
}

impl Triggers {
    /// Returns what a delivery started when it came before.
    pub(super) async fn seen(
        &self,
        delivery: &Delivery,
    ) -> Result<Option<Received>, DeliveryError> {
        for name in names(delivery) {
            let item = self.0.engine.store().item(COLLECTION, name).await?;
            let seen = item.and_then(|it| serde_json::from_slice::<Seen>(&it.body).ok());
            if let Some(seen) = seen {
                if seen.digest != delivery.digest {
                    return Err(DeliveryError::Other { id: delivery.id.clone() });
                }
                return Ok(Some(Received { is_duplicate: true, started: seen.started }));
            }
        }
        Ok(None)
    }

    /// Notes a delivery. If it came twice at the same time, the first to be noted has it.
    pub(super) async fn remember(
        &self,
        delivery: &Delivery,
        started: Vec<StartedBy>,
    ) -> Result<Received, DeliveryError> {
        let seen = Seen { at: self.now(), digest: delivery.digest, started: started.clone() };
        let body = serde_json::to_vec(&seen).expect("a delivery has a text");
        let puts = names(delivery)
            .map(|name| ItemWrite::put(COLLECTION, name, Expect::Absent, body.clone()));
        match self.0.engine.store().write_items(puts.collect()).await? {
            Ok(_) => Ok(Received { is_duplicate: false, started }),
            Err(_) => {
                let received = self.seen(delivery).await?;
                Ok(received.unwrap_or(Received { is_duplicate: true, started }))
            }
        }
    }

    /// Removes deliveries that came long ago.
    pub(super) async fn forget_old(&self) -> Result<(), DeliveryError> {
        let store = self.0.engine.store();
        let old = self.now().saturating_sub(SEEN_MS);
        let mut after: Option<String> = None;
        loop {
            let page = store.items(COLLECTION, after.as_deref(), PAGE_MAX).await?;
            let is_old =
                |body: &[u8]| serde_json::from_slice::<Seen>(body).is_ok_and(|it| it.at < old);
            let removals = page
                .iter()
                .filter(|it| is_old(&it.body))
                .map(|it| ItemWrite::remove(COLLECTION, &it.key, Expect::Anything));
            let removals: Vec<ItemWrite> = removals.collect();
            if !removals.is_empty() {
                // Nothing is expected, so nothing conflicts.
                let _ = store.write_items(removals).await?;
            }
            match page.last() {
                Some(last) => after = Some(last.key.clone()),
                None => return Ok(()),
            }
        }
    }
}

fn names(delivery: &Delivery) -> impl Iterator<Item = &str> {
    std::iter::once(delivery.id.as_str()).chain(delivery.alias.as_deref())
}
