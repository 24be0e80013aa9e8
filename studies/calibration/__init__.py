"""Why a verdict can be believed: false alarms, power and coverage of fpk's own rules, counted. Runs only when named: ``fpk run calibration``."""
