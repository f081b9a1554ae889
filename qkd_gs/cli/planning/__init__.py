"""Commands that plan: passes and the pointing fit."""
