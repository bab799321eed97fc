# shellcheck shell=bash
# options: --variant nfs-home
# Home directories on NFS: what cannot be done there is said.
either 'NFS|nfs|xattr|overlay|subordinate' ./rl run --rm --network none builtin echo hi
