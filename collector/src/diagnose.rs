//! Why a pod that is scheduled to this node does not get its containers, in one line.
//!
//! [`stuck`] sees from the status alone which pods are stuck, and often why. Where the status does not say,
//! [`examiner`] asks the API server: `event` reads the pod's Events, `volume` who holds its volumes; both are pure,
//! `ask` carries the requests. `text` gets names out of a kubelet's messages, [`reason`] is the closed set of
//! outcomes, `cases` the pods that are stuck now. Nothing is asked while no pod is.

pub mod access;
mod ask;
mod cases;
mod event;
pub mod examiner;
pub mod reason;
pub mod stuck;
mod text;
mod volume;

pub use examiner::Examiner;
pub use reason::{Diagnosis, Reason};
