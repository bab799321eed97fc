package container

import (
	"golang.org/x/sys/unix"
)

// RandomName makes a name for a container that was given none.
func RandomName() string {
	var b [4]byte
	_, _ = unix.Getrandom(b[:], 0)
	return adjectives[int(b[0])%len(adjectives)] + "_" + nouns[(int(b[1])<<8|int(b[2]))%len(nouns)]
}

var adjectives = [...]string{
	"agile", "amber", "ample", "bold", "brave", "bright", "brisk", "calm", "candid", "clear", "clever", "cosy", "crisp", "daring", "deft", "eager",
	"early", "fair", "fleet", "fond", "frank", "fresh", "gentle", "glad", "golden", "grand", "handy", "happy", "hardy", "honest", "humble", "jolly",
	"keen", "kind", "lively", "loyal", "lucid", "lucky", "merry", "mild", "modest", "neat", "nimble", "noble", "patient", "plain", "polite", "proud",
	"quick", "quiet", "rapid", "ready", "sharp", "silent", "sleek", "smart", "steady", "sunny", "swift", "tidy", "vivid", "warm", "wise", "witty",
}

var nouns = [...]string{
	"acorn", "adder", "alder", "anchor", "anvil", "ash", "aspen", "badger", "barge", "basin", "beacon", "beaver", "beech", "birch", "bison", "bobcat",
	"brook", "buoy", "canoe", "cedar", "clover", "comet", "condor", "coral", "crane", "creek", "cutter", "delta", "dingo", "dolphin", "dory", "dune",
	"eagle", "egret", "elder", "elk", "falcon", "fern", "ferry", "finch", "fjord", "fox", "gannet", "gecko", "geyser", "glacier", "grove", "gull",
	"harbor", "hare", "hazel", "heron", "hickory", "ibis", "island", "ivy", "jackal", "juniper", "kayak", "kestrel", "lagoon", "larch", "lark", "laurel",
	"lemur", "lichen", "linden", "lynx", "magpie", "mallard", "maple", "marmot", "marsh", "meadow", "mesa", "mink", "moose", "moss", "newt", "oak",
	"orca", "oriole", "osprey", "otter", "owl", "pebble", "pelican", "petrel", "pine", "plover", "pond", "poplar", "prairie", "puffin", "quail", "quartz",
	"raven", "reef", "ridge", "river", "robin", "rowan", "sable", "salmon", "seal", "sequoia", "shore", "shrew", "sloop", "spruce", "starling", "stoat",
	"stork", "summit", "swan", "tarn", "tern", "thistle", "thrush", "tide", "trout", "tundra", "valley", "vole", "walrus", "willow", "wren", "yew",
}
