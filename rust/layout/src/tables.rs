//! The two table macros. `record!` writes one struct per row set, checks every offset at compile
//! time and keeps the rows as data for `emit`; `codes!` does the same for enumerations. Nothing
//! else in the tree may spell an offset or a code.

/// One field of a record: where it lies, how it is spelt, what it means.
#[derive(Debug)]
pub struct Field {
    /// Byte offset from the start of the record.
    pub offset: usize,
    /// Name, snake_case, the FIX word where there is one.
    pub name: &'static str,
    /// Rust type as written in the table: an integer, or `[u8; N]`.
    pub ty: &'static str,
    /// Size in bytes.
    pub size: usize,
    /// What it means, with unit and range.
    pub doc: &'static str,
}

/// One record or shared structure.
#[derive(Debug)]
pub struct Table {
    /// Rust name, CamelCase.
    pub name: &'static str,
    /// snake_case name for Cython and numpy.
    pub snake: &'static str,
    /// `Header::kind` of a 128-byte record; 0 for a shared structure that is no record.
    pub kind: u16,
    /// Whole size in bytes.
    pub size: usize,
    /// What it is.
    pub doc: &'static str,
    /// Fields, in order, without gaps.
    pub fields: &'static [Field],
}

/// One code of an enumeration.
#[derive(Debug)]
pub struct Code {
    /// snake_case name, as shown to people.
    pub name: &'static str,
    /// The number stored.
    pub code: u16,
    /// FIX value of the same meaning, empty where FIX has none.
    pub fix: &'static str,
    /// What it means; for a verdict, the sentence a trader reads.
    pub doc: &'static str,
}

/// One enumeration.
#[derive(Debug)]
pub struct CodeTable {
    /// Rust name, CamelCase.
    pub name: &'static str,
    /// snake_case name.
    pub snake: &'static str,
    /// What it is.
    pub doc: &'static str,
    /// The codes.
    pub codes: &'static [Code],
}

/// `record! { /// doc  Name name = KIND, SIZE { OFFSET field: type, "doc"; ... } }`
#[macro_export]
macro_rules! record {
    ($($(#[doc = $doc:literal])+ $name:ident $snake:ident = $kind:literal, $size:literal {
        $($offset:literal $field:ident : $ty:ty, $fdoc:literal;)+
    })+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Clone, Copy, Debug, PartialEq, Eq, zerocopy::FromBytes, zerocopy::IntoBytes,
                     zerocopy::Immutable, zerocopy::KnownLayout)]
            #[repr(C)]
            pub struct $name { $(#[doc = $fdoc] pub $field: $ty,)+ }
            $(const _: () = assert!(core::mem::offset_of!($name, $field) == $offset);)+
            const _: () = assert!(core::mem::size_of::<$name>() == $size);
            impl $name {
                /// `Header::kind` of this record; 0 for a shared structure.
                pub const KIND: u16 = $kind;
                /// All bytes zero.
                pub const ZERO: Self = zerocopy::transmute!([0u8; $size]);
            }
        )+
        /// Every record and shared structure, for `emit` and the layout hash.
        pub const TABLES: &[$crate::tables::Table] = &[$(
            $crate::tables::Table {
                name: stringify!($name), snake: stringify!($snake), kind: $kind, size: $size,
                doc: concat!($($doc),+),
                fields: &[$($crate::tables::Field {
                    offset: $offset, name: stringify!($field), ty: stringify!($ty),
                    size: core::mem::size_of::<$ty>(), doc: $fdoc,
                }),+],
            }
        ),+];
    };
}

/// `codes! { /// doc  Name name: u8 { snake Camel = code, "fix", "doc"; ... } }`
#[macro_export]
macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident $snake:ident : $repr:ident {
        $($cname:ident $variant:ident = $code:literal, $fix:literal, $cdoc:literal;)+
    })+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
            #[repr($repr)]
            pub enum $name { $(#[doc = $cdoc] $variant = $code,)+ }
            impl $name {
                /// All codes in the order of the table.
                pub const ALL: &[Self] = &[$(Self::$variant),+];
                /// The number stored in records.
                #[inline(always)]
                pub const fn code(self) -> $repr { self as $repr }
                /// The code of a stored number; `None` for a number the table does not hold.
                #[inline]
                pub const fn from_code(code: $repr) -> Option<Self> {
                    match code { $($code => Some(Self::$variant),)+ _ => None }
                }
                /// snake_case name, as shown to people.
                pub const fn name(self) -> &'static str {
                    match self { $(Self::$variant => stringify!($cname),)+ }
                }
                /// FIX value of the same meaning, empty where FIX has none.
                pub const fn fix(self) -> &'static str {
                    match self { $(Self::$variant => $fix,)+ }
                }
            }
        )+
        /// Every enumeration, for `emit` and the layout hash.
        pub const CODES: &[$crate::tables::CodeTable] = &[$(
            $crate::tables::CodeTable {
                name: stringify!($name), snake: stringify!($snake), doc: concat!($($doc),+),
                codes: &[$($crate::tables::Code {
                    name: stringify!($cname), code: $code as u16, fix: $fix, doc: $cdoc,
                }),+],
            }
        ),+];
    };
}
