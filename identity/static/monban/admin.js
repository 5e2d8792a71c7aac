/* The theme's own script may neither write style elements nor evaluate texts: the policy of these pages forbids both. */
htmx.config.includeIndicatorStyles = false;
htmx.config.allowEval = false;
