//! Makes a closed set of reasons: each with its label, its status and its sentence.

/// An enum of unit variants from rows of `Variant "label" STATUS "Sentence.";`.
macro_rules! reasons {
    ($(#[$about:meta])* $name:ident; $($variant:ident $label:literal $status:ident $help:literal;)*) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name { $(#[doc = $help] $variant),* }

        impl $name {
            /// All of them, in the order of the counts.
            pub const ALL: [Self; [$(Self::$variant),*].len()] = [$(Self::$variant),*];

            /// The label value.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $label),* }
            }

            /// What the client is answered, where it can still be answered.
            #[must_use]
            pub fn status(self) -> http::StatusCode {
                match self { $(Self::$variant => http::StatusCode::$status),* }
            }

            /// A sentence for whoever sent the request; it names no pod.
            #[must_use]
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $help),* }
            }
        }
    };
}

pub(super) use reasons;
