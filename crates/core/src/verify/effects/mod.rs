//! What tasks do outside.

use super::Subject;
use super::finding::Proofs;

pub(super) fn verify(_subject: &Subject<'_>, _proofs: &mut Proofs) {}
