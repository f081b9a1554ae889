"""Tests of the light path before a pass: which part of the light is counted, and how much light is counted in vain."""
