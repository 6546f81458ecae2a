//! Makes up what happens to a session: one step from one random number, cheaper by far than a strategy for every field.

use super::super::laws::{PLAYERS, Step};
use super::CONNECTION;

/// A source of steps for sessions of one template: what that forbids is tried seldom.
#[expect(clippy::struct_excessive_bools, reason = "each is a capability of its own")]
pub struct Dice {
    state: u64,
    connectivity: bool,
    large: bool,
    initializes: bool,
    owned: bool,
    roles: bool,
}

impl Dice {
    /// Dice that fall as the number says.
    pub fn new(state: u64, template: &str) -> Self {
        Self {
            state,
            connectivity: template.contains("connectivity"),
            large: template.contains(r#""large""#),
            initializes: template.contains("memberInitialization"),
            owned: template.contains("hasOwners"),
            roles: template.contains("roleTypes"),
        }
    }

    /// A share in percent where something is of use, and one where it is not.
    fn share(of_use: bool, yes: u64, no: u64) -> u64 {
        if of_use { yes } else { no }
    }

    /// The next number (`SplitMix64`).
    pub fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// True with this share in percent.
    pub fn percent(&mut self, share: u64) -> bool {
        self.roll() % 100 < share
    }

    /// One of the values.
    pub fn of<'v>(&mut self, values: &[&'v str]) -> &'v str {
        let count = values.len() as u64;
        values[usize::try_from(self.roll() % count).expect("an index")]
    }

    /// An object with some of these fields: a share in percent, a name, and the values it may have.
    fn object(&mut self, fields: &[(u64, &str, &[&str])]) -> String {
        let mut chosen = Vec::new();
        for (share, name, values) in fields {
            if self.percent(*share) {
                chosen.push(format!(r#""{name}":{}"#, self.of(values)));
            }
        }
        format!("{{{}}}", chosen.join(","))
    }

    fn custom(&mut self) -> String {
        const VALUES: &[&str] = &["1", "1.0", "null", r#"{"x":null}"#, r#""\ud800""#, "[1]"];
        match self.roll() % 8 {
            0 => "null".to_owned(),
            1 => r#""text""#.to_owned(),
            _ => self.object(&[(40, "a", VALUES), (40, "b", VALUES), (40, "c", VALUES)]),
        }
    }

    fn bag(&mut self, system: &str) -> String {
        let custom = self.custom();
        self.object(&[(70, "system", &[system]), (40, "custom", &[&custom])])
    }

    fn session_properties(&mut self) -> String {
        let restrictions: &[&str] = &[r#""none""#, r#""local""#, r#""followed""#, "null"];
        let small = !self.large;
        let system = self.object(&[
            (Self::share(small, 20, 2), "joinRestriction", restrictions),
            (15, "readRestriction", restrictions),
            (15, "closed", &["true", "false", "null"]),
            (8, "locked", &["true", "false"]),
            (15, "keywords", &[r#"["eu"]"#, "[]", r#"["EU","eu","na"]"#]),
            (Self::share(small, 15, 1), "turn", &["[]", "[0]", "[1,0]", "[2]", "null"]),
            (Self::share(self.connectivity, 12, 1), "host", &[r#""f56cad2ba680f530a25f98eb28c573f6""#, r#""nobody""#, "null"]),
            (Self::share(self.owned, 12, 1), "owners", &["[0]", "[1,0]", "[2]", "[]", "null"]),
            (Self::share(self.initializes, 15, 1), "initializationSucceeded", &["true", "false"]),
            (4, "serverConnectionStringCandidates", &[r#"["eu"]"#, "[]", "null"]),
            (15, "description", &[r#"{"text":"t","locale":null}"#, "{}", "null"]),
            (15, "matchmaking", &[r#"{"targetSessionConstants":{"a":null,"custom":{"b":null}}}"#, "null"]),
        ]);
        self.bag(&system)
    }

    fn member_properties(&mut self) -> String {
        let connection = format!(r#""{CONNECTION}""#);
        let (linked, small) = (self.connectivity, !self.large);
        let system = self.object(&[
            (70, "active", &["true", "true", "true", "false", "null"]),
            (15, "ready", &["true", "false"]),
            (60, "connection", &[&connection, &connection, &connection, "null"]),
            (
                Self::share(linked, 50, 1),
                "secureDeviceAddress",
                &[r#""AAAAAAAA00112233445566778899aabbccddeeff""#, r#""AAAAAAAA00112233445566778899aabbccddeeff""#, r#""BB""#, r#""BB""#, r#""""#],
            ),
            (
                Self::share(linked, 50, 1),
                "measurements",
                &[
                    r#"{"F56CAD2BA680F530A25F98EB28C573F6":{"latency":1}}"#,
                    r#"{"f56cad2ba680f530a25f98eb28c573f6":{"latency":1,"bandwidthDown":999,"bandwidthUp":999},"fc686c314491e1f68bf1899fc54b2327":{"latency":9,"bandwidthDown":99,"bandwidthUp":99}}"#,
                    r#"{"fc686c314491e1f68bf1899fc54b2327":{"latency":999,"bandwidthDown":99,"bandwidthUp":99}}"#,
                    r#"{"fc686c314491e1f68bf1899fc54b2327":{"latency":9,"bandwidthDown":99,"bandwidthUp":99}}"#,
                    r#"{"f56cad2ba680f530a25f98eb28c573f6":{"latency":9,"bandwidthDown":99,"bandwidthUp":99}}"#,
                    r#"{"x":{"custom":{"n":null}}}"#,
                    "{}",
                    "null",
                ],
            ),
            (8, "serverMeasurements", &[r#"{"EU":{"latency":9},"us":{"latency":3}}"#, r#"{"eu":{"latency":1}}"#, "{}", "null"]),
            (8, "encounters", &[r#"["boss"]"#]),
            (Self::share(small, Self::share(self.initializes, 30, 8), 1), "initializationGroup", &["[0]", "[1]", "[3]", "[]"]),
            (8, "groups", &[r#"["red"]"#, "[]"]),
            (Self::share(small, 8, 1), "subscription", &[r#"{"id":"6a1d9c3e-0f4b-4e27-8f6d-1b2c3d4e5f01","changeTypes":[]}"#, "null"]),
            (8, "secondarySubscriptions", &[r#"{"s":{"changeTypes":["host"]}}"#, r#"{"s":null,"t":{}}"#, "null"]),
        ]);
        self.bag(&system)
    }

    /// The constants of the caller's own entry, or of a reservation for somebody.
    fn constants(&mut self, xuid: Option<u64>) -> String {
        let named = xuid.map_or_else(|| r#""index":9"#.to_owned(), |xuid| format!(r#""xuid":{xuid}"#));
        let system =
            format!("{{{named}{}}}", self.of(&["", "", r#","team":"red""#, r#","initialize":true"#, r#","initialize":true"#]));
        self.object(&[(100, "system", &[&system]), (20, "custom", &[r#"{"k":1}"#, r#"{"l":2}"#, "null"])])
    }

    fn roles(&mut self) -> String {
        self.object(&[
            (60, "class", &[r#""healer""#, r#""healer""#, r#""tank""#, r#""bard""#, "null"]),
            (30, "rank", &[r#""leader""#, "null"]),
        ])
    }

    fn entry(&mut self) -> String {
        let (constants, properties, roles) = (self.constants(None), self.member_properties(), self.roles());
        self.object(&[
            (Self::share(self.initializes, 60, 25), "constants", &[&constants]),
            (60, "properties", &[&properties]),
            (Self::share(self.roles, 35, 2), "roles", &[&roles]),
        ])
    }

    /// What a server or an owner may write of somebody else, and more.
    fn edit(&mut self) -> String {
        let roles = self.roles();
        let flags: &[&str] = &[
            r#"{"system":{"active":true}}"#,
            r#"{"system":{"active":false}}"#,
            r#"{"system":{"ready":true}}"#,
            r#"{"custom":{}}"#,
        ];
        self.object(&[(60, "roles", &[&roles]), (30, "properties", flags)])
    }

    /// What somebody writes of members; a server has no `me`, but removes.
    fn members(&mut self, who: usize) -> String {
        let mut fields = Vec::new();
        let key = match who {
            5 => self.of(&["me_all", "me_all", "me_allInSession", "me_2533274800000003"]),
            _ => "me",
        };
        if who != 4 && self.percent(92) {
            let me = if self.percent(9) { "null".to_owned() } else { self.entry() };
            fields.push(format!(r#""{key}":{me}"#));
        }
        if self.percent(Self::share(who < 4, Self::share(self.owned, 12, 2), 50)) {
            let entry = if self.percent(60) { "null".to_owned() } else { self.edit() };
            fields.push(format!(r#""{}":{entry}"#, self.roll() % 4));
        }
        let reserved = if self.percent(Self::share(self.large, 2, 25)) { 1 + self.roll() % 2 } else { 0 };
        for n in 0..reserved {
            let xuid = 2_533_274_800_000_001 + self.roll() % 4;
            let (constants, roles) = (self.constants(Some(xuid)), self.roles());
            let entry = self.object(&[(100, "constants", &[&constants]), (Self::share(self.roles, 20, 1), "roles", &[&roles])]);
            fields.push(format!(r#""reserve_{n}":{entry}"#));
        }
        format!("{{{}}}", fields.join(","))
    }

    fn servers(&mut self) -> String {
        let matchmaking: &[&str] = &[
            r#"{"properties":{"system":{"status":"searching","typicalWait":30}}}"#,
            r#"{"properties":{"system":{"status":null},"custom":{"n":null,"m":1}}}"#,
            "{}",
            "null",
        ];
        let other: &[&str] = &[r#"{"constants":{"custom":{"v":1}}}"#, r#"{"properties":{"system":{"a":{"b":null}}}}"#, "null"];
        self.object(&[(60, "matchmaking", matchmaking), (40, "Score", other), (20, "score", other)])
    }

    /// One step.
    pub(in crate::domain) fn step(&mut self) -> Step {
        const WAITS: &[i64] = &[1, 999, 1000, 5000, 20_000, 30_000, 200_000, 8_000_000];
        if self.percent(8) {
            return Step::Lose(usize::try_from(self.roll() % 4).expect("an index"));
        }
        if self.percent(20) {
            return Step::Wait(WAITS[usize::try_from(self.roll() % 8).expect("an index")]);
        }
        let others = usize::try_from(4 + self.roll() % (PLAYERS - 4)).expect("an index");
        let who = if self.percent(15) { others } else { usize::try_from(self.roll() % 4).expect("an index") };
        let (members, properties, servers) = (self.members(who), self.session_properties(), self.servers());
        let types: &[&str] = &[
            r#"{"class":{"roles":{"healer":{"max":2}}}}"#,
            r#"{"class":{"roles":{"healer":{"max":null}}}}"#,
            r#"{"class":{"roles":{"healer":{"max":1}}}}"#,
            r#"{"shoes":{"roles":{"red":{}}}}"#,
        ];
        let constants: &[&str] = &[
            "{}",
            r#"{"system":{"version":1}}"#,
            r#"{"system":{"inviteProtocol":"game"}}"#,
            r#"{"system":{"maxMembersCount":2}}"#,
            r#"{"custom":{"map":1}}"#,
            r#"{"custom":null}"#,
        ];
        let body = self.object(&[
            (90, "members", &[&members]),
            (30, "properties", &[&properties]),
            (10, "constants", constants),
            (Self::share(self.roles, 8, 1), "roleTypes", types),
            (Self::share(who < 4, 1, 30), "servers", &[&servers]),
        ]);
        Step::Write { who, body, synchronized: self.percent(10) }
    }
}
