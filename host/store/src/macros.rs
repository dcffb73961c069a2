//! The declaration of a state.

/// Declares a [`State`](crate::State): a struct with one [`Table`](crate::Table) per field, its logs, and
/// optionally its streams and migrations. Field, log and stream names are the names in the database.
///
/// ```
/// # use fleet_store::{Migration, Row, Step, StreamRow, state};
/// # #[derive(serde::Serialize, serde::Deserialize)] pub struct Item { name: String }
/// # impl Row for Item { type Key = String; fn key(&self) -> String { self.name.clone() } }
/// # #[derive(serde::Serialize, serde::Deserialize)] pub struct Event { text: String }
/// # #[derive(serde::Serialize, serde::Deserialize)] pub struct Packet { text: String }
/// # impl StreamRow for Packet { type Key = str; }
/// state! {
///     /// What the node remembers.
///     pub struct NodeState("node") {
///         /// Desired state by name.
///         pub items: Item,
///     }
///     logs { events: Event }
///     streams { packets: Packet }
///     migrations &[Migration {
///         to: 2,
///         name: "items of the first preview go",
///         steps: &[Step::Sql("DELETE FROM items")],
///     }]
/// }
/// ```
#[macro_export]
macro_rules! state {
    (
        $(#[$meta:meta])*
        $vis:vis struct $state:ident($name:literal) {
            $( $(#[$field_meta:meta])* $field_vis:vis $field:ident: $row:ty ),* $(,)?
        }
        logs { $( $log:ident: $log_row:ty ),* $(,)? }
        $( streams { $( $stream:ident: $stream_row:ty ),* $(,)? } )?
        $( migrations $migrations:expr )?
    ) => {
        $(#[$meta])*
        #[derive(Clone, Default)]
        $vis struct $state {
            $( $(#[$field_meta])* $field_vis $field: $crate::Table<$row>, )*
        }

        impl $crate::State for $state {
            const NAME: &'static str = $name;

            fn tables() -> &'static [&'static str] {
                &[$( stringify!($field) ),*]
            }

            fn logs() -> &'static [&'static str] {
                &[$( stringify!($log) ),*]
            }

            $(
                fn streams() -> &'static [&'static str] {
                    &[$( stringify!($stream) ),*]
                }
            )?

            $(
                fn migrations() -> &'static [$crate::Migration] {
                    $migrations
                }
            )?

            #[allow(unused_variables, reason = "a state may have no table")]
            fn load(
                &mut self,
                table: &str,
                key: &str,
                value: &str,
            ) -> ::std::result::Result<(), $crate::StoreError> {
                match table {
                    $( stringify!($field) => $crate::load_row::<$row, Self>(self, key, value), )*
                    other => Err($crate::StoreError::UnknownTable(other.to_owned())),
                }
            }
        }

        $(
            impl $crate::HasTable<$row> for $state {
                const TABLE: &'static str = stringify!($field);

                fn table(&self) -> &$crate::Table<$row> {
                    &self.$field
                }

                fn table_mut(&mut self) -> &mut $crate::Table<$row> {
                    &mut self.$field
                }
            }
        )*

        $(
            impl $crate::HasLog<$log_row> for $state {
                const LOG: &'static str = stringify!($log);
            }
        )*

        $($(
            impl $crate::HasStream<$stream_row> for $state {
                const STREAM: &'static str = stringify!($stream);
            }
        )*)?
    };
}
