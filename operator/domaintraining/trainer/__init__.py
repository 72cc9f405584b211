"""The trainer: runs MIPROv2 for one run and writes its report ConfigMap. Never imports kopf."""
