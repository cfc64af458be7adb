//! Breaks calls of any store on purpose, at a chosen call or by a seed, and always the same way
//! again. A crash is played by answering nothing but errors from then on: start anew with another
//! [`FaultStore`] around the same [`FaultStore::inner`].

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use surefoot_core::ids::{Digest, RunId};
use surefoot_core::time::Millis;

use crate::row::*;
use crate::{Error, Item, ItemConflict, ItemWrite, Loaded, Pending, Result, Store};

const LOCATION: &str = "fault injection";

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not carried out, and says so.
    Refuse,
    /// Carried out, and says that it does not know.
    UnknownApplied,
    /// Not carried out, and says that it does not know.
    UnknownLost,
    /// Carried out, and answered after so many other tasks had a turn.
    Delay(u32),
    /// The process ends before it is carried out.
    CrashBefore,
    /// The process ends after it is carried out and before it is answered.
    CrashAfter,
}

/// Every fault that a test may want to try at every place.
pub const FAULTS: [Fault; 6] = [
    Fault::Refuse,
    Fault::UnknownApplied,
    Fault::UnknownLost,
    Fault::Delay(3),
    Fault::CrashBefore,
    Fault::CrashAfter,
];

impl Fault {
    fn carries_out(self) -> bool {
        match self {
            Fault::UnknownApplied | Fault::Delay(_) | Fault::CrashAfter => true,
            Fault::Refuse | Fault::UnknownLost | Fault::CrashBefore => false,
        }
    }
}

/// Wraps a store and breaks some of its calls.
pub struct FaultStore<S> {
    inner: Arc<S>,
    plan: Mutex<Plan>,
}

#[derive(Default)]
struct Plan {
    calls: u64,
    appends: u64,
    crashed: bool,
    at_call: BTreeMap<u64, Fault>,
    at_append: BTreeMap<u64, Fault>,
    random: Option<Random>,
}

struct Random {
    state: u64,
    one_in: u64,
}

impl<S: Store> FaultStore<S> {
    /// Breaks nothing yet, and counts.
    pub fn new(inner: Arc<S>) -> FaultStore<S> {
        FaultStore { inner, plan: Mutex::default() }
    }

    /// Breaks the call with this number, counted from 1 over all methods but `close`.
    pub fn at_call(self, number: u64, fault: Fault) -> FaultStore<S> {
        self.plan().at_call.insert(number, fault);
        self
    }

    /// Breaks the call of `append` with this number, counted from 1.
    pub fn at_append(self, number: u64, fault: Fault) -> FaultStore<S> {
        self.plan().at_append.insert(number, fault);
        self
    }

    /// Breaks about one of `one_in` calls in a way drawn from the seed.
    pub fn seeded(self, seed: u64, one_in: u64) -> FaultStore<S> {
        self.plan().random = Some(Random { state: seed, one_in: one_in.max(1) });
        self
    }

    pub fn calls(&self) -> u64 {
        self.plan().calls
    }

    pub fn appends(&self) -> u64 {
        self.plan().appends
    }

    pub fn is_crashed(&self) -> bool {
        self.plan().crashed
    }

    /// Returns what a process that starts anew would find.
    pub fn inner(&self) -> Arc<S> {
        Arc::clone(&self.inner)
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan.lock().expect("nobody panics while holding the lock")
    }

    async fn around<T>(&self, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let fault = self.plan().enter(false)?;
        follow(fault, fault.is_none_or(Fault::carries_out).then_some(call)).await
    }

    /// Like [`FaultStore::around`], for what is handed over when it is called.
    fn hand_over<T: Send + 'static>(
        &self,
        is_append: bool,
        call: impl FnOnce() -> Pending<T>,
    ) -> Pending<T> {
        match self.plan().enter(is_append) {
            Err(error) => Box::pin(std::future::ready(Err(error))),
            Ok(fault) => {
                let call = fault.is_none_or(Fault::carries_out).then(call);
                Box::pin(follow(fault, call))
            }
        }
    }
}

impl Plan {
    /// Counts a call and returns what is to become of it.
    fn enter(&mut self, is_append: bool) -> Result<Option<Fault>> {
        if self.crashed {
            return Err(crashed());
        }
        self.calls += 1;
        self.appends += u64::from(is_append);
        let chosen = self.at_call.get(&self.calls).copied();
        let chosen = chosen
            .or_else(|| is_append.then(|| self.at_append.get(&self.appends).copied()).flatten());
        let fault = chosen.or_else(|| self.random.as_mut().and_then(Random::draw));
        self.crashed = matches!(fault, Some(Fault::CrashBefore | Fault::CrashAfter));
        Ok(fault)
    }
}

impl Random {
    fn draw(&mut self) -> Option<Fault> {
        self.next()
            .is_multiple_of(self.one_in)
            .then(|| FAULTS[(self.next() % FAULTS.len() as u64) as usize])
    }

    /// SplitMix64: a few lines, and the same on every machine for ever.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// Carries out the call, if there is one, and answers what the fault says.
async fn follow<T>(
    fault: Option<Fault>,
    call: Option<impl Future<Output = Result<T>> + Send>,
) -> Result<T> {
    let result = match call {
        Some(call) => Some(call.await?),
        None => None,
    };
    if let Some(Fault::Delay(turns)) = fault {
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    }
    match (fault, result) {
        (None | Some(Fault::Delay(_)), Some(result)) => Ok(result),
        (Some(Fault::CrashBefore | Fault::CrashAfter), _) => Err(crashed()),
        (Some(Fault::UnknownApplied | Fault::UnknownLost), _) => Err(Error::Unknown {
            location: LOCATION.to_owned(),
            reason: "the outcome was hidden on purpose".to_owned(),
        }),
        (Some(Fault::Refuse), _) | (None | Some(Fault::Delay(_)), None) => {
            Err(unavailable("the call was refused on purpose"))
        }
    }
}

fn crashed() -> Error {
    unavailable("the process has crashed on purpose")
}

fn unavailable(reason: &str) -> Error {
    Error::Unavailable {
        location: LOCATION.to_owned(),
        reason: reason.to_owned(),
        hint: "This happens in tests only.".to_owned(),
    }
}

#[async_trait]
impl<S: Store> Store for FaultStore<S> {
    async fn claim(&self, shard: Shard) -> Result<Owner> {
        self.around(self.inner.claim(shard)).await
    }

    fn append(&self, owner: Owner, batch: Arc<[Append]>) -> Pending<Vec<Outcome>> {
        self.hand_over(true, || self.inner.append(owner, batch))
    }

    async fn load(&self, run: RunId) -> Result<Loaded> {
        self.around(self.inner.load(run)).await
    }

    async fn records(&self, run: RunId, from: u64, limit: u32) -> Result<Vec<Vec<u8>>> {
        self.around(self.inner.records(run, from, limit)).await
    }

    async fn journal(&self, after: i64, limit: u32) -> Result<Vec<JournalEntry>> {
        self.around(self.inner.journal(after, limit)).await
    }

    async fn journal_end(&self) -> Result<i64> {
        self.around(self.inner.journal_end()).await
    }

    async fn journal_removed(&self) -> Result<i64> {
        self.around(self.inner.journal_removed()).await
    }

    async fn run(&self, run: RunId) -> Result<Option<RunRow>> {
        self.around(self.inner.run(run)).await
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRow>> {
        self.around(self.inner.runs(filter)).await
    }

    async fn tally(&self, since: Millis) -> Result<Tally> {
        self.around(self.inner.tally(since)).await
    }

    async fn active(&self, shard: Shard, after: Option<RunId>, limit: u32) -> Result<Vec<RunId>> {
        self.around(self.inner.active(shard, after, limit)).await
    }

    async fn due(&self, shard: Shard, until: Millis, limit: u32) -> Result<Vec<(Millis, RunId)>> {
        self.around(self.inner.due(shard, until, limit)).await
    }

    async fn next_wake(&self, shard: Shard, after: Millis) -> Result<Option<Millis>> {
        self.around(self.inner.next_wake(shard, after)).await
    }

    async fn keyed(&self, shard: Shard) -> Result<Vec<RunRow>> {
        self.around(self.inner.keyed(shard)).await
    }

    async fn put_definition(&self, row: &DefinitionRow) -> Result<std::result::Result<(), Digest>> {
        self.around(self.inner.put_definition(row)).await
    }

    async fn definition(&self, hash: Digest) -> Result<Option<DefinitionRow>> {
        self.around(self.inner.definition(hash)).await
    }

    async fn definitions(&self, workflow: Option<&str>) -> Result<Vec<DefinitionRow>> {
        self.around(self.inner.definitions(workflow)).await
    }

    async fn payload(&self, hash: Digest) -> Result<Option<Vec<u8>>> {
        self.around(self.inner.payload(hash)).await
    }

    async fn logs(&self, run: RunId, filter: &LogFilter) -> Result<Vec<StoredLog>> {
        self.around(self.inner.logs(run, filter)).await
    }

    async fn all_logs(&self, after: i64, limit: u32) -> Result<Vec<StoredLog>> {
        self.around(self.inner.all_logs(after, limit)).await
    }

    async fn logs_end(&self) -> Result<i64> {
        self.around(self.inner.logs_end()).await
    }

    fn append_logs(&self, owner: Owner, lines: Vec<LogLine>) -> Pending<()> {
        self.hand_over(false, || self.inner.append_logs(owner, lines))
    }

    async fn post(&self, run: RunId, command: Vec<u8>, now: Millis) -> Result<i64> {
        self.around(self.inner.post(run, command, now)).await
    }

    async fn inbox(&self, after: i64, limit: u32) -> Result<Vec<InboxRow>> {
        self.around(self.inner.inbox(after, limit)).await
    }

    async fn answer(&self, owner: Owner, entries: Vec<(i64, String)>) -> Result<()> {
        self.around(self.inner.answer(owner, entries)).await
    }

    async fn answered(&self, entry: i64) -> Result<Option<String>> {
        self.around(self.inner.answered(entry)).await
    }

    async fn item(&self, collection: &str, key: &str) -> Result<Option<Item>> {
        self.around(self.inner.item(collection, key)).await
    }

    async fn items(&self, collection: &str, after: Option<&str>, limit: u32) -> Result<Vec<Item>> {
        self.around(self.inner.items(collection, after, limit)).await
    }

    async fn write_items(
        &self,
        writes: Vec<ItemWrite>,
    ) -> Result<std::result::Result<Vec<u64>, ItemConflict>> {
        self.around(self.inner.write_items(writes)).await
    }

    async fn info(&self) -> Result<StoreInfo> {
        self.around(self.inner.info()).await
    }

    async fn verify(&self) -> Result<Vec<Damage>> {
        self.around(self.inner.verify()).await
    }

    async fn backup(&self, path: &Path) -> Result<()> {
        self.around(self.inner.backup(path)).await
    }

    async fn gc(&self, retention: &Retention) -> Result<Collected> {
        self.around(self.inner.gc(retention)).await
    }

    /// Never breaks, so that a test can clean up.
    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::MemoryStore;
    use crate::conformance::run_id;

    fn one(seq: u64) -> Vec<Append> {
        vec![Append::record(run_id(1), seq, vec![])]
    }

    /// Breaks the second of three appends; checks its answer and how many records are there.
    async fn check(fault: Fault, ok: bool, unknown: bool, crashed: bool, records: u64) {
        let store = FaultStore::new(Arc::new(MemoryStore::new())).at_append(2, fault);
        let owner = store.claim(0).await.unwrap();
        store.append(owner, one(0).into()).await.unwrap();
        let answer = store.append(owner, one(1).into()).await;
        assert_eq!(answer.is_ok(), ok, "{fault:?}");
        assert_eq!(matches!(answer, Err(Error::Unknown { .. })), unknown, "{fault:?}");
        assert_eq!(store.is_crashed(), crashed, "{fault:?}");
        assert_eq!(store.append(owner, one(2).into()).await.is_err(), crashed, "{fault:?}");
        assert_eq!(store.inner().load(run_id(1)).await.unwrap().len(), records, "{fault:?}");
    }

    #[tokio::test]
    async fn each_fault_does_what_it_says() {
        check(Fault::Refuse, false, false, false, 1).await;
        check(Fault::UnknownApplied, false, true, false, 3).await;
        check(Fault::UnknownLost, false, true, false, 1).await;
        check(Fault::Delay(5), true, false, false, 3).await;
        check(Fault::CrashBefore, false, false, true, 1).await;
        check(Fault::CrashAfter, false, false, true, 2).await;
    }

    #[tokio::test]
    async fn calls_are_counted_and_broken_by_number() {
        let store = FaultStore::new(Arc::new(MemoryStore::new())).at_call(3, Fault::Refuse);
        let owner = store.claim(0).await.unwrap();
        store.append(owner, one(0).into()).await.unwrap();
        assert!(store.info().await.is_err());
        assert!(store.info().await.is_ok());
        assert_eq!((store.calls(), store.appends()), (4, 1));
    }

    #[tokio::test]
    async fn a_seed_breaks_the_same_calls_again() {
        let mut histories = Vec::new();
        for _ in 0..2 {
            let store = FaultStore::new(Arc::new(MemoryStore::new())).seeded(7, 4);
            let mut history = Vec::new();
            for _ in 0..50 {
                history.push(store.claim(0).await.is_ok());
            }
            histories.push(history);
        }
        assert_eq!(histories[0], histories[1]);
        assert!(histories[0].contains(&false) && histories[0].contains(&true));
    }
}
