"""Labels of radiology reports by rule: the 14 findings of CheXpert.

After the task of Irvin et al. 2019 (CheXpert, section 3): find mentions, judge each by the words
around it, and gather the sentences of a report. The lexicon was written for this project.
"""
