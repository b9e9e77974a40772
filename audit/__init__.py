"""The audit trail: chains of entries that cannot be changed unnoticed, signed checkpoints, proofs for strangers."""
