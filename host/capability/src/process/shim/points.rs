//! The moments of a shim at which something has just become durable, or is about to.
//!
//! The product passes [`NoPoints`]. A test passes its own and ends the shim where it likes, so that
//! what is promised of a start, a command and a packet is tried at every one of them.

/// A moment. Each stands between two steps that another process could see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShimPoint {
    /// Nothing has been made for the start.
    BeforeClaim,
    /// The child waits for the word; the slot is not claimed.
    ChildReady,
    /// The slot is claimed; the child still waits.
    AfterClaim,
    /// The child became the program; nothing says so.
    AfterRelease,
    /// The mark says that it became the program; the host has no answer.
    AfterExecutedMark,
    /// A command has come and is nowhere yet.
    BeforeAccept,
    /// A command is durable; whoever sent it has no answer.
    AfterAccept,
    /// A command is about to be marked as begun.
    BeforeBegun,
    /// A command is marked as begun; none of its bytes are written.
    AfterBegun,
    /// A command is written to the program's pipe.
    AfterPipeWrite,
    /// The journal of commands is about to be put in place anew.
    BeforeRewrite,
    /// The journal of commands is in place anew.
    AfterRewrite,
    /// A spool of packets has its id and nothing else.
    AfterSpool,
    /// A new segment of the spool is in place and empty.
    AfterSegment,
    /// Packets are written and not durable.
    BeforePacketSync,
    /// Packets are durable; no reader takes them yet.
    AfterPacketSync,
    /// Readers take the packets; the bell has not rung.
    BeforeBell,
    /// The bell has rung; whoever emitted them has no answer.
    AfterBell,
    /// Nothing of the program is left and all of its output is kept; its exit is not recorded.
    BeforeExitRecord,
    /// The exit is recorded.
    AfterExitRecord,
}

impl ShimPoint {
    /// All of them, in the order in which a program's life meets them.
    pub const ALL: [Self; 20] = [
        Self::BeforeClaim,
        Self::ChildReady,
        Self::AfterClaim,
        Self::AfterRelease,
        Self::AfterExecutedMark,
        Self::BeforeAccept,
        Self::AfterAccept,
        Self::BeforeBegun,
        Self::AfterBegun,
        Self::AfterPipeWrite,
        Self::BeforeRewrite,
        Self::AfterRewrite,
        Self::AfterSpool,
        Self::AfterSegment,
        Self::BeforePacketSync,
        Self::AfterPacketSync,
        Self::BeforeBell,
        Self::AfterBell,
        Self::BeforeExitRecord,
        Self::AfterExitRecord,
    ];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BeforeClaim => "before-claim",
            Self::ChildReady => "child-ready",
            Self::AfterClaim => "after-claim",
            Self::AfterRelease => "after-release",
            Self::AfterExecutedMark => "after-executed-mark",
            Self::BeforeAccept => "before-accept",
            Self::AfterAccept => "after-accept",
            Self::BeforeBegun => "before-begun",
            Self::AfterBegun => "after-begun",
            Self::AfterPipeWrite => "after-pipe-write",
            Self::BeforeRewrite => "before-rewrite",
            Self::AfterRewrite => "after-rewrite",
            Self::AfterSpool => "after-spool",
            Self::AfterSegment => "after-segment",
            Self::BeforePacketSync => "before-packet-sync",
            Self::AfterPacketSync => "after-packet-sync",
            Self::BeforeBell => "before-bell",
            Self::AfterBell => "after-bell",
            Self::BeforeExitRecord => "before-exit-record",
            Self::AfterExitRecord => "after-exit-record",
        }
    }
}

/// What a slot's claim means to a shim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Claims {
    /// Whoever finds it taken starts nothing.
    #[default]
    Honoured,
    /// It is passed over, so that a test can see what the claim is for. Never in the product.
    Ignored,
}

/// What goes along with a shim through its moments.
pub trait ShimPoints {
    /// The shim is at this point. Need not come back.
    fn reach(&self, point: ShimPoint) {
        let _ = point;
    }

    /// What the claim means.
    fn claims(&self) -> Claims {
        Claims::Honoured
    }
}

/// Nothing happens at any point.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPoints;

impl ShimPoints for NoPoints {}
