"""Greedy layers learn nothing where end-to-end training learns all (Section 5, Appendix C.7)."""
