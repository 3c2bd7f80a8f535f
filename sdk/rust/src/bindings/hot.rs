//! The hot kinds, which share nothing with the asynchronous ones.
//!
//! A plugin exports the life cycle and the interfaces of its kind. Each of them is a world of its own here, because two
//! worlds with the same export cannot be generated into one crate; the register macros export those that a kind needs,
//! and what comes out is the world that `wit/` has for it.

/// Of every hot kind: how it is started, and its log.
pub mod lifecycle {
    wit_bindgen::generate!({
        path: ["../../wit/hot"],
        inline: "
            package micro:sdk-lifecycle;
            world hot-lifecycle {
                import micro:hot/log@0.1.0;
                export micro:hot/lifecycle@0.1.0;
            }
        ",
        world: "micro:sdk-lifecycle/hot-lifecycle",
        generate_all,
        pub_export_macro: true,
    });
}

/// Of wire plugins.
pub mod wire {
    wit_bindgen::generate!({
        path: ["../../wit/hot", "../../wit/wire"],
        inline: "
            package micro:sdk-wire;
            world hot-wire {
                export micro:wire/wire@0.1.0;
            }
        ",
        world: "micro:sdk-wire/hot-wire",
        generate_all,
        pub_export_macro: true,
    });
}

/// Of selector plugins.
pub mod selector {
    wit_bindgen::generate!({
        path: ["../../wit/hot", "../../wit/selector"],
        inline: "
            package micro:sdk-selector;
            world hot-selector {
                export micro:selector/selector@0.1.0;
            }
        ",
        world: "micro:sdk-selector/hot-selector",
        generate_all,
        pub_export_macro: true,
    });
}

/// Of selector plugins that look at the load, besides `selector`.
pub mod load {
    wit_bindgen::generate!({
        path: ["../../wit/hot", "../../wit/selector"],
        inline: "
            package micro:sdk-load;
            world hot-load {
                export micro:selector/load@0.1.0;
            }
        ",
        world: "micro:sdk-load/hot-load",
        generate_all,
        pub_export_macro: true,
    });
}

/// Of codec plugins.
pub mod codec {
    wit_bindgen::generate!({
        path: ["../../wit/hot", "../../wit/codec"],
        inline: "
            package micro:sdk-codec;
            world hot-codec {
                export micro:codec/codec@0.1.0;
            }
        ",
        world: "micro:sdk-codec/hot-codec",
        generate_all,
        pub_export_macro: true,
    });
}

/// Of filter plugins.
pub mod filter {
    wit_bindgen::generate!({
        path: ["../../wit/hot", "../../wit/filter"],
        inline: "
            package micro:sdk-filter;
            world hot-filter {
                export micro:filter/filter@0.1.0;
            }
        ",
        world: "micro:sdk-filter/hot-filter",
        generate_all,
        pub_export_macro: true,
    });
}
