"""Formulas exist under the names that terms, views and optimisers give them."""

import pytest

from nstbatch.runtime.formulas.formula import Formula
from nstbatch.runtime.objectives import (
    dream_terms,
    prior_terms,
    spectrum,
    terms,
    views,
)

TERMS = [
    *terms.content("a").terms,
    *terms.style("a").terms,
    *terms.total_variation().terms,
    *prior_terms.alpha_norm(6).terms,
    *prior_terms.total_variation_beta(1.5).terms,
    *dream_terms.energy("a").terms,
    *dream_terms.guide("a").terms,
    *dream_terms.score("a").terms,
    *dream_terms.likelihood("a").terms,
    terms.projection("a"),
]
VIEWS = [views.JITTER, spectrum.SPECTRUM, views.wrapped(2)]
FORMULAS = [formula for term in TERMS for formula in (term.loss, term.target) if formula]
FORMULAS += [formula for view in VIEWS for formula in (view.see, view.pull_back)]


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda formula: formula.name)
def test_a_formula_is_where_its_name_says(formula):
    function = formula.load()
    assert function.name == formula.name
    assert function.to_function_proto().output


def test_a_name_that_nothing_has_is_an_error():
    with pytest.raises(AttributeError, match="square_root"):
        Formula("nstbatch.runtime.formulas.terms", "square_root").load()
