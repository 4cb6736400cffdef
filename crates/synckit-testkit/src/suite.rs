//! Lists of cases.

/// Makes a suite out of its one list of cases: a function for each, and the macro that makes a test of each function.
///
/// The list is the only use of the cases, so that the compiler finds those that are missing from it.
macro_rules! suite {
    (
        $(#[$meta:meta])*
        $area:ident $name:ident $matcher:tt => ($source_type:ty) = $source:tt;
        $($module:ident { $($case:ident,)+ })+
    ) => {
        $(mod $module;)+

        #[doc(hidden)]
        pub mod cases {
            $($(
                pub fn $case(source: $source_type) {
                    source.run(async |context| super::$module::$case(context).await);
                }
            )+)+
        }

        $(#[$meta])*
        #[macro_export]
        macro_rules! $name {
            $matcher => {
                $($(
                    #[test]
                    fn $case() {
                        $crate::$area::cases::$case $source;
                    }
                )+)+
            };
        }
    };
}
pub(crate) use suite;
